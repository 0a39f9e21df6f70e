// The kernel's forwarding state as a value: links, addresses, routes of the main and the local table, next-hop objects,
// neighbours. Takes events, answers queries, tells what changed. Pure: no socket, no clock.
//
// The local table is looked up together with the main one and wins at the same prefix; a longer prefix in the main
// table below a shorter local one (127.0.0.0/8, or an "AnyIP" prefix) would win here and lose in the kernel. Policy
// rules (ip rule) are not followed.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dataplane/control/routing/events.h"

namespace guideway::control {

// What a destination or a prefix leads to.
struct Resolution {
  RouteKind kind = RouteKind::kNone;
  bool on_link = false;   // every hop's destination is its own next hop
  std::vector<Hop> hops;  // sorted; next_hop is the destination itself where it is on link (lookup), or zero (route)
  net::IpAddress source;  // to send from; zero if the host has no suitable address
  uint32_t mtu = 0;       // the least of the hops' links and the route's own

  friend bool operator==(const Resolution&, const Resolution&) = default;
};

// What changed since the last time it was asked for. A link's or next-hop object's change is told as changes of the
// routes over it, too.
struct Changes {
  bool all = false;  // too many to list: look at everything anew; the lists are empty
  bool links = false;
  bool addresses = false;
  std::vector<net::Prefix> routes;  // sorted, without repetition, as are the neighbours
  std::vector<NeighborKey> neighbors;

  bool none() const { return !all && !links && !addresses && routes.empty() && neighbors.empty(); }
};

class Rib {
 public:
  void apply(const Event& event);
  // Becomes `fresh`, the state of a new dump, and notes only what differs.
  void adopt(Rib&& fresh);
  // True once the kernel has dropped routes without saying so (a link went down, an IPv4 address or a next-hop object
  // went away): only a new dump tells which. adopt() makes it false.
  bool stale() const { return stale_; }

  // Longest prefix match. Routes without a live link are passed over as the kernel does.
  Resolution lookup(const net::IpAddress& destination) const;
  // What exactly this prefix leads to; kNone if there is no such route, or none with a live link.
  Resolution route(const net::Prefix& prefix) const;
  void for_each_route(const std::function<void(const net::Prefix&, const Resolution&)>& visit) const;
  size_t prefixes() const { return routes_.size(); }

  std::optional<net::MacAddress> neighbor(int ifindex, const net::IpAddress& address) const;
  const Neighbor* neighbor_entry(const NeighborKey& key) const;  // usable or not; null if unknown
  // The usable ones.
  void for_each_neighbor(const std::function<void(const NeighborKey&, const net::MacAddress&)>& visit) const;

  const Link* link(int ifindex) const;  // null if unknown
  const Link* link(std::string_view name) const;
  const std::map<int, Link>& links() const { return links_; }
  std::vector<Address> addresses(int ifindex) const;  // in the kernel's order

  Changes take_changes();

 private:
  using Ranked = std::vector<Route>;  // of one prefix, the best first

  void apply_link(const Link& link, bool removed);
  void apply_address(const Address& address, bool removed);
  void apply_route(const Route& route, Event::Action action);
  void apply_nexthop(const Nexthop& nexthop, bool removed);
  void apply_neighbor(const Neighbor& neighbor, bool removed);

  void touch(const net::Prefix& prefix);
  void touch(const NeighborKey& key);
  void touch_routes_over(int ifindex);
  void touch_routes_by(uint32_t nexthop_id);
  bool leads_over(const Route& route, int ifindex) const;
  std::vector<uint32_t> with_groups(uint32_t nexthop_id) const;
  void count_prefix(const net::Prefix& prefix, int step);

  bool live(const Hop& hop) const;
  RouteKind hops_of(const Route& route, std::vector<Hop>& out) const;
  RouteKind hops_of_nexthop(uint32_t id, uint32_t weight, bool in_group, std::vector<Hop>& out) const;
  std::optional<Resolution> resolve(const Ranked& ranked) const;
  void finish(Resolution& r, const net::IpAddress& destination) const;
  net::IpAddress source_for(const Hop& hop, const net::IpAddress& destination) const;

  std::map<int, Link> links_;
  std::vector<Address> addresses_;
  std::unordered_map<net::Prefix, Ranked> routes_;
  std::array<std::array<uint32_t, 129>, 2> prefixes_by_length_{};  // [is IPv6][length]: lengths worth a look
  std::unordered_map<uint32_t, Nexthop> nexthops_;
  std::unordered_map<NeighborKey, Neighbor> neighbors_;

  bool stale_ = false;
  Changes changes_;
};

}  // namespace guideway::control
