#include "mgmt/engine_link/budget.h"

namespace guideway::mgmt {
namespace {

bool over(uint64_t n, uint32_t limit) { return limit != 0 && n > limit; }

std::string sentence(const char* what, uint32_t limit, const char* remedy) {
  return "the engine has room for " + std::to_string(limit) + " " + what + ": " + remedy;
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

std::string Budget::lack_of_room(const Entry& e, const engine::Limits& limits) const {
  if (over(e.reals, limits.reals_per_service()))
    return sentence("backends of one VIP", limits.reals_per_service(), "split the Service");
  if (over(services_ + 1, limits.services())) return sentence("VIPs", limits.services(), "remove some");
  if (over(reals_ + e.reals, limits.reals())) return sentence("backends in all", limits.reals(), "remove some");
  if (!users_.contains(e.table) && over(slots_ + e.table_size, limits.maglev_slots()))
    return sentence("slots of Maglev tables in all", limits.maglev_slots(),
                    "lower guideway.io/maglev-table-size of some Services");
  return {};
}

}  // namespace guideway::mgmt
