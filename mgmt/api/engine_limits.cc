#include "mgmt/api/engine_limits.h"

#include <algorithm>

namespace guideway::mgmt {
namespace {

using Used = std::optional<uint64_t>;

// The most that a VIP in force asks for, by `of`.
template <typename F>
Used most(const Snapshot& s, F&& of) {
  uint64_t n = 0;
  for (const Snapshot::Vip& v : s.vips)
    if (v.state == EngineLink::EntryState::kApplied) n = std::max<uint64_t>(n, of(*v.entry));
  return n;
}

const Service& service(const Entry& e) { return std::get<Service>(e.service->body); }

// The most that a worker has, by `of`.
template <typename F>
Used most_of_workers(const Snapshot& s, F&& of) {
  if (!s.status) return std::nullopt;
  uint64_t n = 0;
  for (const engine::WorkerStatus& w : s.status->workers()) n = std::max<uint64_t>(n, of(w));
  return n;
}

}  // namespace

void fill_limits(const Snapshot& s, v1::Engine& out) {
  if (!s.hello) return;
  const engine::Limits& limits = s.hello->limits();
  const auto add = [&](const char* name, uint64_t limit, Used used, const char* text) {
    if (limit == 0) return;  // not told
    v1::Limit& row = *out.add_limits();
    row.set_name(name);
    row.set_text(text);
    row.set_limit(limit);
    if (used) row.set_used(*used);
  };
  const engine::Status* status = s.status ? &*s.status : nullptr;
  const auto told = [&](auto number) -> Used {
    return status != nullptr ? Used(static_cast<uint64_t>((status->*number)())) : std::nullopt;
  };
  const IdleTimeouts& idle = s.gateway.idle;
  add("services", limits.services(), told(&engine::Status::services), "VIPs");
  add("reals", limits.reals(), told(&engine::Status::reals), "backends of all VIPs");
  add("real_rows", limits.real_rows(), told(&engine::Status::real_rows),
      "backends, and removed ones that connections may still name");
  add("reals_per_service", limits.reals_per_service(), most(s, [](const Entry& e) { return e.reals; }),
      "backends of one VIP");
  add("maglev_slots", limits.maglev_slots(), told(&engine::Status::maglev_slots_used), "slots of all Maglev tables");
  add("source_ranges", limits.source_ranges(), most(s, [](const Entry& e) { return service(e).source_ranges.size(); }),
      "source ranges of one Service");
  add("affinity_seconds", limits.affinity_seconds(),
      most(s, [](const Entry& e) { return service(e).affinity_seconds; }), "session affinity, seconds");
  add("idle_seconds", limits.idle_seconds(), std::max({idle.established, idle.setup, idle.closing, idle.udp}),
      "idle timeout that GatewayConfig sets, seconds");
  add("snat_addresses", limits.snat_addresses(), s.gateway.snat.size(), "SNAT addresses");
  const auto of_worker = [&](auto number) {
    return most_of_workers(s, [number](const engine::WorkerStatus& w) { return (w.*number)(); });
  };
  add("snat_destinations", limits.snat_destinations(), of_worker(&engine::WorkerStatus::snat_destinations),
      "(SNAT address, backend, protocol) with ports in use, of one worker");
  add("connections", limits.connections(),
      most_of_workers(
          s, [](const engine::WorkerStatus& w) { return std::max(w.connections_ipv4(), w.connections_ipv6()); }),
      "connections of one worker and family");
  add("exceptions", limits.exceptions(), told(&engine::Status::exceptions), "connections off their Maglev slot");
  add("fib_blocks_ipv4", limits.fib_blocks_ipv4(), told(&engine::Status::fib_blocks_ipv4),
      "IPv4 /24s of routes that hold longer prefixes or neighbours");
  add("fib_blocks_ipv6", limits.fib_blocks_ipv6(), told(&engine::Status::fib_blocks_ipv6),
      "blocks of 8 bits of IPv6 routes");
  add("fragments", limits.fragments(), of_worker(&engine::WorkerStatus::datagrams),
      "datagrams in fragments, of one worker");
  add("denied_prefixes", limits.denied_prefixes(), told(&engine::Status::denied_prefixes),
      "prefixes that SourceFilters deny");
  add("denied_lengths", limits.denied_lengths(),
      status != nullptr ? Used(std::max(status->denied_lengths_ipv4(), status->denied_lengths_ipv6())) : std::nullopt,
      "different lengths of them, of one family");
  add("workers", limits.workers(), told(&engine::Status::workers_size), "workers");
  add("ports", limits.ports(), told(&engine::Status::ports_size), "ports");
}

}  // namespace guideway::mgmt
