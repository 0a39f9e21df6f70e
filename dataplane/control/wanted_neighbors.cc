#include "dataplane/control/wanted_neighbors.h"

namespace guideway::control {

void WantedNeighbors::want(const net::IpAddress& address, Time now) {
  const Resolution way = rib_.lookup(address);
  if (!way.on_link || way.hops.empty()) return;  // a router's neighbour entry is kept by its route
  const NeighborKey key{way.hops.front().ifindex, address};
  if (wanted_.size() >= kLimit || !wanted_.try_emplace(key, now).second) return;
  keep_(key, true);
}

void WantedNeighbors::age(Time now) {
  for (auto it = wanted_.begin(); it != wanted_.end();) {
    const auto& [key, since] = *it;
    if (now - since < (rib_.neighbor(key.ifindex, key.address) ? kAnswered : kUnanswered)) {
      ++it;
      continue;
    }
    keep_(key, false);
    it = wanted_.erase(it);
  }
}

}  // namespace guideway::control
