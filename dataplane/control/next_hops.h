// From what the kernel says of a destination to the rows that workers read: next hops (a neighbour and the port that
// leads to it) and routes (the next hops that share a destination's flows). Equal ones are shared.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "dataplane/control/routing/rib.h"
#include "dataplane/control/rows.h"

namespace guideway::control {

// A port of the engine as routing sees it.
struct PortFacts {
  uint8_t index = 0;
  int ifindex = 0;  // 0: no kernel interface (DPDK's ring, null)
  net::MacAddress mac;
  uint16_t mtu = 1500;
  std::optional<net::MacAddress> declared;  // next hop of a port without a kernel interface
};

class NextHops {
 public:
  // `keep` has the kernel keep a neighbour resolved, or no longer.
  using Keep = std::function<void(const NeighborKey&, bool)>;

  NextHops(const Rib& rib, std::vector<PortFacts> ports, Reclaimer& reclaimer, Keep keep);

  // Whether the kernel is to keep the neighbours resolved that a route leads to.
  enum class Interest : bool { kPassing, kLasting };

  // The row for what the kernel says; released once for each time that it was acquired.
  path::RouteIndex acquire(const Resolution& r, const net::IpAddress& destination, Interest interest);
  void release(path::RouteIndex i);

  // After the kernel told changes of neighbours or links: rewrites the rows that differ. True if any did.
  bool refresh();

  // What a destination without a kernel route resolves to: the declared next hop of the first port that has one.
  std::optional<Resolution> declared() const;

  // The rows that the next publication changes: next hops, then the routes that name them.
  template <typename OnHop, typename OnRoute>
  void for_each_edited(OnHop on_hop, OnRoute on_route) const {
    for (const path::NextHopIndex i : hops_.edited()) on_hop(i, hops_[i]);
    for (const path::RouteIndex i : routes_.edited()) on_route(i, routes_[i]);
  }

  const path::Rows<path::RouteIndex, path::Route>& publish_routes() { return routes_.publish(); }
  const path::Rows<path::NextHopIndex, path::NextHop>& publish_next_hops() { return hops_.publish(); }

 private:
  struct HopRecord {
    path::NextHopIndex index;
    unsigned uses = 0;
    bool kept = false;  // by the kernel, resolved
  };
  struct RouteKey {
    RouteKind kind = RouteKind::kNone;
    Interest interest = Interest::kPassing;
    std::vector<NeighborKey> hops;
    friend auto operator<=>(const RouteKey&, const RouteKey&) = default;
  };
  struct RouteRecord {
    RouteKey key;
    unsigned uses = 0;
  };
  using HopKey = std::pair<NeighborKey, Interest>;

  path::NextHopIndex acquire_hop(const HopKey& key);
  void release_hop(const HopKey& key);
  bool is_to_be_kept(const HopKey& key) const;
  path::NextHop row_of(const NeighborKey& key) const;
  const PortFacts* port(int ifindex) const;
  const PortFacts* port_below(const Link* link) const;

  const Rib& rib_;
  std::vector<PortFacts> ports_;
  Reclaimer& reclaimer_;
  Keep keep_;
  RowStore<path::NextHopIndex, path::NextHop> hops_;
  RowStore<path::RouteIndex, path::Route> routes_;
  std::map<HopKey, HopRecord> hop_records_;
  std::map<RouteKey, path::RouteIndex> by_key_;
  std::map<path::RouteIndex, RouteRecord> route_records_;
};

}  // namespace guideway::control
