#include "dataplane/control/workers.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <rte_errno.h>
#include <sys/random.h>

#include <algorithm>
#include <bit>

namespace guideway::control {

namespace {

// Packets. A worker that shares its core with others is away for milliseconds; what comes for it meanwhile shall wait.
// Less than the spare frames, so that one ring alone can't starve a port.
constexpr unsigned kRingSize = 4096;

// One table's memory, in one mapping: entries, buckets (of half their alignment), free list.
template <typename Entry>
path::ConnectionTable<Entry> carve(const Mapping& memory, uint32_t buckets, uint32_t entries) {
  using Table = path::ConnectionTable<Entry>;
  auto* first_entry = static_cast<Entry*>(memory.base());
  auto* first_bucket = reinterpret_cast<path::Bucket*>(first_entry + entries + Table::kSpareEntries);
  auto* free = reinterpret_cast<uint32_t*>(first_bucket + buckets + Table::kSpareBuckets);
  return {
      {first_bucket, buckets + Table::kSpareBuckets}, {first_entry, entries + Table::kSpareEntries}, {free, entries}};
}

template <typename Entry>
size_t table_size(uint32_t buckets, uint32_t entries) {
  using Table = path::ConnectionTable<Entry>;
  return (buckets + Table::kSpareBuckets) * sizeof(path::Bucket) + (entries + Table::kSpareEntries) * sizeof(Entry) +
         entries * sizeof(uint32_t);
}

// Of SNAT ports only the pages that are used are there: a part of what there may be of destinations.
size_t snat_ports_size(unsigned workers) {
  using path::SnatPorts;
  return SnatPorts::kDestinations *
         (SnatPorts::words_for(workers) * sizeof(uint64_t) + sizeof(SnatPorts::Row) + sizeof(SnatPorts::Index));
}

path::SnatPorts::Memory snat_ports(const Mapping& memory, unsigned workers) {
  using path::SnatPorts;
  constexpr uint32_t kRows = SnatPorts::kDestinations;
  const size_t words = size_t{kRows} * SnatPorts::words_for(workers);
  auto* first_row = reinterpret_cast<SnatPorts::Row*>(static_cast<uint64_t*>(memory.base()) + words);
  return {.rows = {first_row, kRows},
          .buckets = {reinterpret_cast<SnatPorts::Index*>(first_row + kRows), kRows},
          .words = memory.as<uint64_t>(words)};
}

// Registered once; the same for all pools.
absl::StatusOr<int> handed_over_field() {
  constexpr rte_mbuf_dynfield kField{
      .name = "guideway_handed_over", .size = sizeof(path::HandedOver), .align = alignof(path::HandedOver), .flags = 0};
  const int offset = rte_mbuf_dynfield_register(&kField);
  if (offset < 0)
    return absl::ResourceExhaustedError(absl::StrCat("no room in mbufs for our own field: ", rte_strerror(rte_errno)));
  return offset;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Workers>> Workers::create(const Options& options, std::span<const EnginePort> ports,
                                                         const std::atomic<const path::Tables*>& tables,
                                                         Reclaimer& reclaimer) {
  std::unique_ptr<Workers> w(new Workers);
  w->connections_ = options.connections;
  uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed) return absl::InternalError("the kernel gives no random bytes");
  const auto metadata = handed_over_field();
  if (!metadata.ok()) return metadata.status();
  w->metadata_ = *metadata;
  const uint32_t buckets = std::bit_ceil(std::max(options.connections / 2, 4U));
  for (unsigned i = 0; i < options.count; ++i) {
    std::vector<Mapping>& m = w->memory_;
    for (const size_t size : {table_size<path::Connection4>(buckets, options.connections),
                              table_size<path::Connection6>(buckets, options.connections)}) {
      auto memory = map_memory(size, options.huge, "connection tables");
      if (!memory.ok()) return memory.status();
      m.push_back(std::move(*memory));
    }
    auto& setup = w->wirings_.emplace_back().setup;
    setup.id = i;
    setup.tables = &tables;
    setup.connections.emplace(carve<path::Connection4>(m[m.size() - 2], buckets, options.connections),
                              carve<path::Connection6>(m[m.size() - 1], buckets, options.connections));
    setup.reals = path::RealCounterRows(options.tally->rows(i));
    auto ports = reserve_memory(snat_ports_size(options.count), "SNAT ports");
    if (!ports.ok()) return ports.status();
    setup.snat_ports = snat_ports(*ports, options.count);
    m.push_back(std::move(*ports));
    setup.fragments = w->fragments_.emplace_back(std::make_unique<path::Fragments>(*metadata)).get();
    setup.table_seed = seed;
    setup.handover = {.self = i, .workers = options.count, .to = {}, .metadata = *metadata};
    setup.quiescence = reclaimer.qsbr();
    setup.yield = options.yield;
  }
  if (const absl::Status s = w->connect(ports); !s.ok()) return s;
  for (Wiring& wiring : w->wirings_) {
    wiring.setup.rx = wiring.rx;
    wiring.setup.forwarding = wiring.forwarding;
    w->workers_.push_back(std::make_unique<path::Worker>(wiring.setup));
  }
  return w;
}

absl::StatusOr<rte_ring*> Workers::new_ring() {
  static unsigned instance = 0;  // names are the process's
  const std::string name = absl::StrCat("worker", instance++);
  rings_.emplace_back(rte_ring_create(name.c_str(), kRingSize, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ));
  if (rings_.back() == nullptr)
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot allocate a ring between workers: ", rte_strerror(rte_errno)));
  return rings_.back().get();
}

absl::Status Workers::connect(std::span<const EnginePort> ports) {
  for (const EnginePort& port : ports)
    if (const absl::Status s = connect_port(port); !s.ok()) return s;
  for (Wiring& from : wirings_)
    for (Wiring& to : wirings_) {
      if (from.setup.id == to.setup.id) continue;
      auto ring = new_ring();
      if (!ring.ok()) return ring.status();
      from.setup.handover.to[to.setup.id] = *ring;
      to.rx.push_back({*ring, 0});
    }
  // Last, so that what is released while the others are polled goes on in the same round.
  for (Wiring& w : wirings_) w.rx.push_back({w.setup.fragments});
  return absl::OkStatus();
}

absl::Status Workers::connect_port(const EnginePort& port) {
  const size_t queues = port.queues.size();
  for (size_t q = 0; q < queues; ++q) {
    Wiring& w = wirings_[q % wirings_.size()];  // receiver(q)
    w.rx.push_back({port.queues[q].get(), port.facts.index});
    auto& tx = w.setup.tx[port.facts.index].target;
    if (std::holds_alternative<std::monostate>(tx)) tx = port.queues[q].get();
  }
  auto inject = new_ring();
  if (!inject.ok()) return inject.status();
  inject_[port.facts.index] = *inject;
  wirings_[0].forwarding.push_back({*inject, port.queues[0].get()});
  for (size_t i = queues; i < wirings_.size(); ++i) {
    auto ring = new_ring();
    if (!ring.ok()) return ring.status();
    wirings_[i].setup.tx[port.facts.index].target = *ring;
    wirings_[i % queues].forwarding.push_back({*ring, port.queues[i % queues].get()});
  }
  return absl::OkStatus();
}

std::vector<const path::Worker*> Workers::all() const {
  std::vector<const path::Worker*> all;
  for (const auto& w : workers_) all.push_back(w.get());
  return all;
}

// Of the connection tables; SNAT ports never are.
bool Workers::huge() const {
  for (size_t i = 0; i < memory_.size(); ++i)
    if (i % 3 != 2 && !memory_[i].huge()) return false;
  return true;
}

size_t Workers::bytes() const {
  size_t sum = 0;
  for (const Mapping& m : memory_) sum += m.size();
  return sum;
}

}  // namespace guideway::control
