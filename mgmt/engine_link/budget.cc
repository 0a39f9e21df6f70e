#include "mgmt/engine_link/budget.h"

#include <utility>

namespace guideway::mgmt {
namespace {

bool over(uint64_t n, uint32_t limit) { return limit != 0 && n > limit; }

Lack lack(const char* field, const char* what, uint32_t limit, const char* remedy) {
  return {field, "the engine has room for " + std::to_string(limit) + " " + what + ": " + remedy};
}

Lack too_long(const char* field, uint32_t limit) {
  return {field, "the engine remembers nothing for longer than " + std::to_string(limit) + " seconds: lower it"};
}

// What one service may ask for, whatever the others have.
std::optional<Lack> lack_of_its_own(const Entry& e, const engine::Limits& limits) {
  const auto& service = std::get<Service>(e.service->body);
  if (over(e.reals, limits.reals_per_service()))
    return lack("", "backends of one VIP", limits.reals_per_service(), "split the Service");
  if (over(service.source_ranges.size(), limits.source_ranges()))
    return lack("spec.loadBalancerSourceRanges", "source ranges of one Service", limits.source_ranges(),
                "join some of them to shorter prefixes");
  if (over(service.affinity_seconds, limits.affinity_seconds()))
    return too_long("spec.sessionAffinityConfig.clientIP.timeoutSeconds", limits.affinity_seconds());
  return std::nullopt;
}

}  // namespace

void Budget::add(const Entry& e) {
  ++services_;
  reals_ += e.reals;
  if (users_[e.table]++ == 0) slots_ += e.table_size;
}

void Budget::remove(const Entry& e) {
  --services_;
  reals_ -= e.reals;
  const auto it = users_.find(e.table);
  if (--it->second != 0) return;
  users_.erase(it);
  slots_ -= e.table_size;
}

std::optional<Lack> Budget::lack_of_room(const Entry& e, const engine::Limits& limits) const {
  if (auto own = lack_of_its_own(e, limits)) return own;
  if (over(services_ + 1, limits.services())) return lack("", "VIPs", limits.services(), "remove some");
  if (over(reals_ + e.reals, limits.reals())) return lack("", "backends in all", limits.reals(), "remove some");
  if (!users_.contains(e.table) && over(slots_ + e.table_size, limits.maglev_slots()))
    return lack("", "slots of Maglev tables in all", limits.maglev_slots(),
                "lower guideway.io/maglev-table-size of some Services");
  return std::nullopt;
}

std::optional<Lack> lack_of_room(const GatewayConfig& g, const engine::Limits& limits) {
  if (over(g.snat.size(), limits.snat_addresses()))
    return lack("spec.snat", "SNAT addresses", limits.snat_addresses(), "remove some");
  const std::pair<const char*, uint32_t> timeouts[] = {{"spec.idleTimeouts.established", g.idle.established},
                                                       {"spec.idleTimeouts.setup", g.idle.setup},
                                                       {"spec.idleTimeouts.closing", g.idle.closing},
                                                       {"spec.idleTimeouts.udp", g.idle.udp}};
  for (const auto& [field, seconds] : timeouts)
    if (over(seconds, limits.idle_seconds())) return too_long(field, limits.idle_seconds());
  return std::nullopt;
}

std::optional<Lack> lack_of_room(const DeniedSources& d, const engine::Limits& limits) {
  const char* field = "spec.deniedCIDRs";
  if (over(d.prefixes, limits.denied_prefixes()))
    return lack(field, "prefixes in all SourceFilters", limits.denied_prefixes(),
                "remove some, or make shorter ones of them");
  if (over(std::max(d.lengths_ipv4, d.lengths_ipv6), limits.denied_lengths()))
    return lack(field, "prefix lengths of one family", limits.denied_lengths(), "split the prefixes of rare lengths");
  return std::nullopt;
}

}  // namespace guideway::mgmt
