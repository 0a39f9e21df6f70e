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

// One table's memory, in one mapping: buckets, entries, free list.
template <typename Entry>
path::ConnectionTable<Entry> carve(const Mapping& memory, uint32_t buckets, uint32_t entries) {
  auto* base = static_cast<std::byte*>(memory.base());
  auto* first_entry = base + buckets * sizeof(path::Bucket);
  auto* free = first_entry + entries * sizeof(Entry);
  return {{reinterpret_cast<path::Bucket*>(base), buckets},
          {reinterpret_cast<Entry*>(first_entry), entries},
          {reinterpret_cast<uint32_t*>(free), entries}};
}

template <typename Entry>
size_t table_size(uint32_t buckets, uint32_t entries) {
  return buckets * sizeof(path::Bucket) + entries * (sizeof(Entry) + sizeof(uint32_t));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Workers>> Workers::create(const Options& options, std::span<const EnginePort> ports,
                                                         const std::atomic<const path::Tables*>& tables,
                                                         Reclaimer& reclaimer) {
  std::unique_ptr<Workers> w(new Workers);
  w->connections_ = options.connections;
  uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed) return absl::InternalError("the kernel gives no random bytes");
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
    setup.table_seed = seed;
    setup.handover = {.self = i, .workers = options.count, .to = {}};
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
  return absl::OkStatus();
}

absl::Status Workers::connect_port(const EnginePort& port) {
  const size_t queues = port.queues.size();
  for (size_t q = 0; q < queues; ++q) {
    Wiring& w = wirings_[q % wirings_.size()];
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

bool Workers::huge() const { return std::ranges::all_of(memory_, &Mapping::huge); }

size_t Workers::bytes() const {
  size_t sum = 0;
  for (const Mapping& m : memory_) sum += m.size();
  return sum;
}

}  // namespace guideway::control
