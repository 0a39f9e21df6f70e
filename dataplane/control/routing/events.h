// What the kernel tells about links, addresses, routes, next hops and neighbours, as values: decode.h makes them, the
// Rib takes them. No netlink type appears here.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "net/address.h"
#include "net/prefix.h"

namespace guideway::control {

struct Link {
  int ifindex = 0;
  std::string name;
  net::MacAddress mac;
  uint32_t mtu = 0;
  bool up = false;        // what the operator set
  bool lower_up = false;  // carrier
  bool resolves = true;   // has neighbours with MAC addresses: not loopback, point-to-point or NOARP
  int parent = 0;         // of a VLAN, macvlan or the like in the same namespace, else 0
  uint16_t vlan = 0;      // of a VLAN interface, else 0

  friend bool operator==(const Link&, const Link&) = default;
};

enum class AddressScope : uint8_t { kGlobal, kLink, kHost };

struct Address {
  int ifindex = 0;
  net::IpAddress address;
  uint8_t prefix_length = 0;
  AddressScope scope = AddressScope::kGlobal;
  bool preferred = true;  // neither tentative, deprecated nor found to be a duplicate

  friend bool operator==(const Address&, const Address&) = default;
};

struct Hop {
  int ifindex = 0;
  net::IpAddress next_hop;  // zero where the destination itself is on the link; may be IPv6 for an IPv4 route
  uint32_t weight = 1;

  bool on_link() const { return next_hop.is_zero(); }
  friend auto operator<=>(const Hop&, const Hop&) = default;
};

enum class RouteKind : uint8_t {
  kNone,
  kUnicast,
  kLocal,  // the host's own: local, broadcast, anycast, multicast
  kBlackhole,
  kUnreachable,  // also what the engine can't follow: throw, lightweight tunnels
  kProhibit,
};

struct Route {
  net::Prefix prefix;
  RouteKind kind = RouteKind::kUnicast;
  bool local_table = false;  // else the main table
  uint32_t metric = 0;       // the lowest wins
  uint32_t nexthop_id = 0;   // of a next-hop object, which then says the hops; else 0
  std::vector<Hop> hops;
  net::IpAddress source;  // preferred source; zero if none is set
  uint32_t mtu = 0;       // 0 if none is set

  friend bool operator==(const Route&, const Route&) = default;
};

struct NexthopMember {
  uint32_t id = 0;
  uint32_t weight = 1;
  friend bool operator==(const NexthopMember&, const NexthopMember&) = default;
};

// A next-hop object: a hop, a blackhole or a group of others.
struct Nexthop {
  uint32_t id = 0;
  RouteKind kind = RouteKind::kUnicast;
  Hop hop;
  std::vector<NexthopMember> group;  // of a group; `hop` says nothing then

  friend bool operator==(const Nexthop&, const Nexthop&) = default;
};

struct NeighborKey {
  int ifindex = 0;
  net::IpAddress address;
  friend auto operator<=>(const NeighborKey&, const NeighborKey&) = default;
};

struct Neighbor {
  NeighborKey key;
  net::MacAddress mac;
  bool usable = false;   // resolved, even if not confirmed lately
  bool fixed = false;    // PERMANENT or NOARP: never resolved by the kernel
  bool managed = false;  // the kernel keeps it resolved (NTF_EXT_MANAGED)

  friend bool operator==(const Neighbor&, const Neighbor&) = default;
};

struct Event {
  enum class Action : uint8_t {
    kAdd,      // in front of its equals in rank; what is there already stays
    kAppend,   // behind them
    kReplace,  // in the place of one
    kRemove,
  };
  Action action = Action::kAdd;
  std::variant<Link, Address, Route, Nexthop, Neighbor> what;
};

}  // namespace guideway::control

template <>
struct std::hash<guideway::control::NeighborKey> {
  size_t operator()(const guideway::control::NeighborKey& k) const noexcept {
    return std::hash<guideway::net::IpAddress>{}(k.address) ^ static_cast<size_t>(k.ifindex) * 0x9e3779b97f4a7c15U;
  }
};
