#include "dataplane/control/workers.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <rte_errno.h>
#include <sys/random.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "dataplane/path/affinity.h"
#include "dataplane/path/clock.h"
#include "log/trouble.h"

namespace guideway::control {

namespace {

// Packets. A worker that shares its core with others is away for milliseconds; what comes for it meanwhile shall wait.
// Less than the spare frames, so that one ring alone can't starve a port.
constexpr unsigned kRingSize = 4096;

uint32_t buckets_for(uint32_t connections) { return std::bit_ceil(std::max(connections / 2, 4U)); }

// One table's memory, in one mapping: entries, buckets (of half their alignment), free list.
template <typename Entry>
path::ConnectionTable<Entry> carve(void* memory, uint32_t buckets, uint32_t entries) {
  using Table = path::ConnectionTable<Entry>;
  auto* first_entry = static_cast<Entry*>(memory);
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

template <typename Entry>
TableDirectory::Wanted wanted_file(unsigned worker, const Workers::Options& options) {
  const uint32_t buckets = buckets_for(options.connections);
  return {.name = absl::StrCat("worker", worker, sizeof(Entry) == sizeof(path::Connection4) ? ".ipv4" : ".ipv6"),
          .shape = {.entry_size = sizeof(Entry),
                    .entries = options.connections,
                    .buckets = buckets,
                    .worker = worker,
                    .workers = options.count},
          .bytes = table_size<Entry>(buckets, options.connections)};
}

path::Left left_by(uint64_t seed, uint64_t away) {
  return {.table_seed = seed,
          .last = static_cast<path::Tick>(path::seconds_since_boot() - away),
          .away = static_cast<uint32_t>(std::min<uint64_t>(away, path::kMaxIdle))};
}

std::optional<uint64_t> kept_seed(const Workers::Options& options) {
  if (options.directory == nullptr) return std::nullopt;
  std::vector<TableDirectory::Wanted> wanted;
  for (unsigned i = 0; i < options.count; ++i) {
    wanted.push_back(wanted_file<path::Connection4>(i, options));
    wanted.push_back(wanted_file<path::Connection6>(i, options));
  }
  return options.directory->take_stock(wanted, options.huge);
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
    return log::failure(absl::StatusCode::kResourceExhausted,
                        absl::StrCat("no room in mbufs for our own field: ", rte_strerror(rte_errno)),
                        "restart guideway-engine; if it goes on, report this as a bug");
  return offset;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Workers>> Workers::create(const Options& options, std::span<const EnginePort> ports,
                                                         const std::atomic<const path::Tables*>& tables,
                                                         Reclaimer& reclaimer) {
  std::unique_ptr<Workers> w(new Workers);
  w->connections_ = options.connections;
  uint64_t seed = 0;
  const auto kept = kept_seed(options);
  if (kept)
    seed = *kept;
  else if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
    return log::failure(absl::StatusCode::kInternal,
                        absl::StrCat("the kernel gives no random bytes: ", std::strerror(errno)),
                        "look for a filter of system calls around guideway-engine that refuses getrandom");
  const auto metadata = handed_over_field();
  if (!metadata.ok()) return metadata.status();
  w->metadata_ = *metadata;
  for (unsigned i = 0; i < options.count; ++i) {
    auto& setup = w->wirings_.emplace_back().setup;
    setup.id = i;
    setup.tables = &tables;
    auto v4 = w->open_table<path::Connection4>(options, i, seed);
    if (!v4.ok()) return v4.status();
    auto v6 = w->open_table<path::Connection6>(options, i, seed);
    if (!v6.ok()) return v6.status();
    setup.connections.emplace(*v4, *v6);
    setup.first_tick = static_cast<path::Tick>(path::seconds_since_boot());
    setup.reals = path::RealCounterRows(options.tally->rows(i));
    auto ports = reserve_memory(snat_ports_size(options.count), "SNAT ports");
    if (!ports.ok()) return ports.status();
    setup.snat_ports = snat_ports(*ports, options.count);
    w->memory_.push_back(std::move(*ports));
    setup.fragments = w->fragments_.emplace_back(std::make_unique<path::Fragments>(*metadata)).get();
    setup.table_seed = seed;
    setup.handover = {.self = i, .workers = options.count, .to = {}, .metadata = *metadata};
    setup.quiescence = reclaimer.qsbr();
    setup.heartbeat = static_cast<uint64_t>(options.heartbeat.count());
    setup.recent = options.recent;
    setup.yield = options.yield;
  }
  if (options.directory != nullptr)
    for (TableDirectory::Former& f : options.directory->take_former()) {
      const bool sound = f.shape.entry_size == sizeof(path::Connection4)   ? check<path::Connection4>(f, *tables.load())
                         : f.shape.entry_size == sizeof(path::Connection6) ? check<path::Connection6>(f, *tables.load())
                                                                           : false;
      sound ? w->former_.push_back(std::move(f)) : options.directory->give_up(f.name, "it is cut short");
    }
  if (const absl::Status s = w->connect(ports); !s.ok()) return s;
  for (Wiring& wiring : w->wirings_) {
    wiring.setup.rx = wiring.rx;
    wiring.setup.forwarding = wiring.forwarding;
    path::Worker& worker = *w->workers_.emplace_back(std::make_unique<path::Worker>(wiring.setup));
    if (wiring.left) w->recovered_ += w->recover(worker, seed, *wiring.left, *tables.load());
  }
  return w;
}

template <typename Entry>
absl::StatusOr<path::ConnectionTable<Entry>> Workers::open_table(const Options& options, unsigned worker,
                                                                 uint64_t seed) {
  const TableDirectory::Wanted wanted = wanted_file<Entry>(worker, options);
  const auto carved = [&](void* memory) { return carve<Entry>(memory, wanted.shape.buckets, wanted.shape.entries); };
  if (options.directory == nullptr) {
    auto memory = map_memory(wanted.bytes, options.huge, "connection tables");
    if (!memory.ok()) return memory.status();
    return carved(memory_.emplace_back(*std::move(memory)).base());
  }
  auto table = options.directory->map(wanted, seed, options.huge);
  if (!table.ok()) return table.status();
  if (table->kept) wirings_[worker].left = table->away;
  if (complaint_.empty()) complaint_ = table->complaint;
  void* const body = table->body();
  memory_.push_back(std::move(table->memory));
  return carved(body);
}

uint32_t Workers::recover(path::Worker& worker, uint64_t seed, uint64_t away, const path::Tables& tables) {
  const path::Left left = left_by(seed, away);
  const path::Recovered r = worker.recover(left, tables);
  return r.v4 + r.v6;
}

// Leaves in it what is sound by the rows that its engine gave out; those that are given out later mean something else.
template <typename Entry>
bool Workers::check(const TableDirectory::Former& former, const path::Tables& tables) {
  const TableShape& shape = former.shape;
  if (shape.entries == 0 || shape.entries > path::ConnectionTable<Entry>::kMaxEntries ||
      shape.buckets != buckets_for(shape.entries) || former.bytes < table_size<Entry>(shape.buckets, shape.entries))
    return false;
  carve<Entry>(former.body.base(), shape.buckets, shape.entries)
      .recover(former.seed, path::seconds_of(left_by(former.seed, former.away)),
               [&](const Entry& one, const Entry* other) { return path::is_sound(one, other, tables); });
  return true;
}

uint32_t Workers::carry_over(const path::Tables& tables) {
  uint32_t lost = 0;
  for (const TableDirectory::Former& f : std::exchange(former_, {}))
    lost += f.shape.entry_size == sizeof(path::Connection4) ? carry_over<path::Connection4>(f, tables)
                                                            : carry_over<path::Connection6>(f, tables);
  return lost;
}

template <typename Entry>
uint32_t Workers::carry_over(const TableDirectory::Former& former, const path::Tables& tables) {
  const auto table = carve<Entry>(former.body.base(), former.shape.buckets, former.shape.entries);
  const auto seconds = path::seconds_of(left_by(former.seed, former.away));
  const auto now = static_cast<path::Tick>(path::seconds_since_boot());
  uint32_t lost = 0;
  table.for_each([&](const path::Found<Entry>& found) {
    if (found.entry->direction == path::Direction::kReply || found.entry->direction == path::Direction::kNext) return;
    const path::SlotRef back = table.partner(found.slot);
    const path::Age age{found.state, static_cast<path::Tick>(now - seconds(found.time)), now};
    const bool settled = settle(*found.entry, back ? &table.entry(back) : nullptr, age, tables);
    (settled ? recovered_ : lost) += 1;
  });
  return lost;
}

// With the worker that owns it now: of nat, who has the block of its SNAT port, and those before it in line lead there.
template <typename Entry>
bool Workers::settle(const Entry& forward, const Entry* reply, path::Age age, const path::Tables& tables) {
  const bool by_client = forward.direction == path::Direction::kNone || tables.services[forward.service].affinity != 0;
  const uint64_t hash =
      by_client ? path::client_hash(forward.key, tables.hash_seed) : net::flow_hash(forward.key, tables.hash_seed);
  unsigned owner = gw_slot(hash, count());
  if (reply == nullptr) return workers_[owner]->take_in<Entry>(forward, nullptr, age);
  const unsigned keeper = tables.snat_owner[reply->key.destination_port.host() >> path::kSnatBlockBits];
  if (!workers_[keeper]->take_in(forward, reply, age)) return false;
  for (; owner != keeper; owner = (owner + 1) % count()) {
    Entry next;
    next.key = forward.key;
    next.service = forward.service;
    next.epoch = forward.epoch;
    next.direction = path::Direction::kNext;
    workers_[owner]->take_in<Entry>(next, nullptr, age);
  }
  return true;
}

absl::StatusOr<rte_ring*> Workers::new_ring() {
  static unsigned instance = 0;  // names are the process's
  const std::string name = absl::StrCat("worker", instance++);
  rings_.emplace_back(rte_ring_create(name.c_str(), kRingSize, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ));
  if (rings_.back() == nullptr)
    return log::failure(absl::StatusCode::kResourceExhausted,
                        absl::StrCat("cannot allocate a ring between workers: ", rte_strerror(rte_errno)),
                        "start with fewer workers (--workers or --cores)");
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
