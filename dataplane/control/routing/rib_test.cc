#include "dataplane/control/routing/rib.h"

#include <catch2/catch.hpp>

#include <chrono>
#include <random>

namespace guideway::control {
namespace {

using Action = Event::Action;

net::IpAddress ip(const char* text) { return *net::parse_ip(text); }
net::Prefix prefix(const char* address, unsigned length) { return prefix_of(ip(address), length); }

Link link(int ifindex, bool up = true, bool lower_up = true) {
  return {ifindex, "eth" + std::to_string(ifindex), {{2, 0, 0, 0, 0, static_cast<uint8_t>(ifindex)}}, 1500, up,
          lower_up};
}
Route unicast(net::Prefix p, std::vector<Hop> hops, uint32_t metric = 0) {
  return {.prefix = p, .metric = metric, .hops = std::move(hops)};
}
Route of_kind(net::Prefix p, RouteKind kind, uint32_t metric = 0) {
  return {.prefix = p, .kind = kind, .metric = metric};
}

Rib two_links() {
  Rib rib;
  for (int i : {1, 2}) rib.apply({Action::kAdd, link(i)});
  rib.apply({Action::kAdd, Address{1, ip("192.0.2.9"), 24}});
  rib.apply({Action::kAdd, Address{2, ip("198.51.100.9"), 24}});
  rib.apply({Action::kAdd, unicast(prefix("192.0.2.0", 24), {{1, {}, 1}})});
  rib.apply({Action::kAdd, unicast(prefix("198.51.100.0", 24), {{2, {}, 1}})});
  rib.take_changes();
  return rib;
}

}  // namespace

TEST_CASE("prefixes are masked and contain what they should") {
  CHECK(to_string(prefix("10.1.2.3", 9)) == "10.0.0.0/9");
  CHECK(to_string(prefix("10.1.2.3", 0)) == "0.0.0.0/0");
  CHECK(to_string(prefix("2001:db8:ffff::1", 33)) == "2001:db8:8000::/33");
  CHECK(contains(prefix("0.0.0.0", 0), ip("255.1.1.1")));
  CHECK_FALSE(contains(prefix("::", 0), ip("10.0.0.1")));
  CHECK_FALSE(contains(prefix("10.0.0.0", 31), ip("10.0.0.2")));
}

TEST_CASE("the longest prefix wins, families apart") {
  Rib rib = two_links();
  rib.apply({Action::kAdd, unicast(prefix("0.0.0.0", 0), {{1, ip("192.0.2.1"), 1}})});
  rib.apply({Action::kAdd, of_kind(prefix("10.0.0.0", 8), RouteKind::kBlackhole)});
  rib.apply({Action::kAdd, unicast(prefix("10.1.0.0", 16), {{2, ip("198.51.100.1"), 1}})});
  CHECK(rib.lookup(ip("203.0.113.1")).hops == std::vector<Hop>{{1, ip("192.0.2.1"), 1}});
  CHECK(rib.lookup(ip("10.2.0.1")).kind == RouteKind::kBlackhole);
  CHECK(rib.lookup(ip("10.1.0.1")).hops == std::vector<Hop>{{2, ip("198.51.100.1"), 1}});
  CHECK(rib.lookup(ip("2001:db8::1")).kind == RouteKind::kNone);
}

TEST_CASE("an on-link destination is its own next hop") {
  const Rib rib = two_links();
  const Resolution r = rib.lookup(ip("192.0.2.77"));
  CHECK(r.on_link);
  CHECK(r.hops == std::vector<Hop>{{1, ip("192.0.2.77"), 1}});
  CHECK(r.source == ip("192.0.2.9"));
  CHECK(r.mtu == 1500);
  CHECK(rib.route(prefix("192.0.2.0", 24)).hops == std::vector<Hop>{{1, {}, 1}});
}

TEST_CASE("the host's own addresses are local even below a longer route") {
  Rib rib = two_links();
  rib.apply({Action::kAdd, unicast(prefix("192.0.2.9", 32), {{2, ip("198.51.100.1"), 1}})});
  Route own = of_kind(prefix("192.0.2.9", 32), RouteKind::kLocal, 100);
  own.local_table = true;
  rib.apply({Action::kAdd, own});
  CHECK(rib.lookup(ip("192.0.2.9")).kind == RouteKind::kLocal);
}

TEST_CASE("the lowest metric wins, and its removal uncovers the next") {
  Rib rib = two_links();
  const net::Prefix p = prefix("10.0.0.0", 8);
  const Route a = unicast(p, {{1, ip("192.0.2.1"), 1}}, 20);
  const Route b = unicast(p, {{2, ip("198.51.100.1"), 1}}, 10);
  rib.apply({Action::kAdd, a});
  rib.apply({Action::kAdd, b});
  CHECK(rib.lookup(ip("10.0.0.1")).hops == b.hops);
  rib.apply({Action::kRemove, b});
  CHECK(rib.lookup(ip("10.0.0.1")).hops == a.hops);
  rib.apply({Action::kRemove, a});
  CHECK(rib.lookup(ip("10.0.0.1")).kind == RouteKind::kNone);
  CHECK(rib.prefixes() == 2);
}

TEST_CASE("IPv4 routes of one metric: appended behind, replaced in place") {
  Rib rib = two_links();
  const net::Prefix p = prefix("10.0.0.0", 8);
  const Route a = unicast(p, {{1, ip("192.0.2.1"), 1}});
  const Route b = unicast(p, {{2, ip("198.51.100.1"), 1}});
  const Route c = unicast(p, {{2, ip("198.51.100.2"), 1}});
  rib.apply({Action::kAdd, a});
  rib.apply({Action::kAppend, b});
  CHECK(rib.lookup(ip("10.0.0.1")).hops == a.hops);
  rib.apply({Action::kReplace, c});
  CHECK(rib.lookup(ip("10.0.0.1")).hops == c.hops);
  rib.apply({Action::kRemove, c});
  CHECK(rib.lookup(ip("10.0.0.1")).hops == b.hops);
  rib.apply({Action::kAdd, a});
  CHECK(rib.lookup(ip("10.0.0.1")).hops == a.hops);
}

TEST_CASE("IPv6 hops told one by one make one multipath route") {
  Rib rib = two_links();
  const net::Prefix p = prefix("2001:db8::", 32);
  const Hop one{1, ip("fe80::1"), 1}, two{2, ip("fe80::2"), 3}, three{2, ip("fe80::3"), 1};
  rib.apply({Action::kAdd, unicast(p, {one}, 1024)});
  rib.apply({Action::kAppend, unicast(p, {two}, 1024)});
  CHECK(rib.lookup(ip("2001:db8::1")).hops == std::vector<Hop>{one, two});
  rib.apply({Action::kAppend, unicast(p, {one, two, three}, 1024)});
  CHECK(rib.lookup(ip("2001:db8::1")).hops == std::vector<Hop>{one, two, three});
  rib.apply({Action::kRemove, unicast(p, {one}, 1024)});
  CHECK(rib.lookup(ip("2001:db8::1")).hops == std::vector<Hop>{two, three});
  rib.apply({Action::kReplace, unicast(p, {one}, 1024)});
  CHECK(rib.lookup(ip("2001:db8::1")).hops == std::vector<Hop>{one});
  // On-link routes of one metric stay apart: the first counts.
  const net::Prefix local = prefix("fe80::", 64);
  rib.apply({Action::kAdd, unicast(local, {{1, {}, 1}}, 256)});
  rib.apply({Action::kAdd, unicast(local, {{2, {}, 1}}, 256)});
  CHECK(rib.route(local).hops == std::vector<Hop>{{1, {}, 1}});
}

TEST_CASE("next-hop objects: a group, its change, its end") {
  Rib rib = two_links();
  rib.apply({Action::kAdd, Nexthop{1, RouteKind::kUnicast, {1, ip("192.0.2.1"), 1}, {}}});
  rib.apply({Action::kAdd, Nexthop{2, RouteKind::kUnicast, {2, ip("198.51.100.1"), 1}, {}}});
  rib.apply({Action::kAdd, Nexthop{10, RouteKind::kUnicast, {}, {{1, 1}, {2, 5}}}});
  Route r = unicast(prefix("10.0.0.0", 8), {});
  r.nexthop_id = 10;
  rib.apply({Action::kAdd, r});
  rib.take_changes();
  CHECK(rib.lookup(ip("10.0.0.1")).hops == std::vector<Hop>{{1, ip("192.0.2.1"), 1}, {2, ip("198.51.100.1"), 5}});

  rib.apply({Action::kReplace, Nexthop{2, RouteKind::kUnicast, {2, ip("198.51.100.2"), 1}, {}}});
  CHECK(rib.take_changes().routes == std::vector<net::Prefix>{r.prefix});
  CHECK(rib.lookup(ip("10.0.0.1")).hops[1].next_hop == ip("198.51.100.2"));

  rib.apply({Action::kReplace, Nexthop{2, RouteKind::kBlackhole, {}, {}}});
  CHECK(rib.lookup(ip("10.0.0.1")).hops == std::vector<Hop>{{1, ip("192.0.2.1"), 1}});
  rib.apply({Action::kRemove, Nexthop{10}});
  CHECK(rib.lookup(ip("10.0.0.1")).kind == RouteKind::kNone);
  CHECK(rib.stale());
}

TEST_CASE("links that are down take no packets; without carrier only for want of a better one") {
  Rib rib = two_links();
  const Hop one{1, ip("192.0.2.1"), 1}, two{2, ip("198.51.100.1"), 1};
  rib.apply({Action::kAdd, unicast(prefix("10.0.0.0", 8), {one, two})});
  rib.apply({Action::kAdd, unicast(prefix("0.0.0.0", 0), {one})});
  rib.apply({Action::kAdd, unicast(prefix("10.1.0.0", 16), {two})});
  rib.take_changes();

  rib.apply({Action::kAdd, link(2, true, false)});
  CHECK(rib.lookup(ip("10.0.0.1")).hops == std::vector<Hop>{one});
  CHECK(rib.lookup(ip("10.1.0.1")).hops == std::vector<Hop>{two});
  const Changes c = rib.take_changes();
  CHECK(c.links);
  CHECK(c.routes ==
        std::vector<net::Prefix>{prefix("10.0.0.0", 8), prefix("10.1.0.0", 16), prefix("198.51.100.0", 24)});
  CHECK_FALSE(rib.stale());

  rib.apply({Action::kAdd, link(2, false, false)});
  CHECK(rib.lookup(ip("10.1.0.1")).hops == std::vector<Hop>{one});  // by the shorter prefix
  CHECK(rib.route(prefix("10.1.0.0", 16)).kind == RouteKind::kNone);
  CHECK(rib.stale());
}

TEST_CASE("the source is the route's, else an address beside the next hop, else one of the link") {
  Rib rib = two_links();
  rib.apply({Action::kAdd, Address{1, ip("192.0.2.10"), 24}});
  rib.apply({Action::kAdd, Address{1, ip("10.9.0.9"), 24}});
  rib.apply({Action::kAdd, Address{1, ip("fe80::9"), 64, AddressScope::kLink}});
  rib.apply({Action::kAdd, Address{1, ip("2001:db8:1::8"), 64, AddressScope::kGlobal, false}});
  rib.apply({Action::kAdd, Address{1, ip("2001:db8:1::9"), 64}});
  rib.apply({Action::kAdd, unicast(prefix("203.0.113.0", 24), {{1, ip("10.9.0.1"), 1}})});
  rib.apply({Action::kAdd, unicast(prefix("203.0.114.0", 24), {{1, ip("172.16.0.1"), 1}})});
  rib.apply({Action::kAdd, unicast(prefix("::", 0), {{1, ip("fe80::1"), 1}})});
  CHECK(rib.lookup(ip("203.0.113.1")).source == ip("10.9.0.9"));
  CHECK(rib.lookup(ip("203.0.114.1")).source == ip("192.0.2.9"));
  CHECK(rib.lookup(ip("2001:db8:2::1")).source == ip("2001:db8:1::9"));
  Route r = unicast(prefix("203.0.115.0", 24), {{1, ip("10.9.0.1"), 1}});
  r.source = ip("192.0.2.10");
  r.mtu = 1400;
  rib.apply({Action::kAdd, r});
  CHECK(rib.lookup(ip("203.0.115.1")).source == ip("192.0.2.10"));
  CHECK(rib.lookup(ip("203.0.115.1")).mtu == 1400);
}

TEST_CASE("a neighbour's ageing is no change; its MAC and its loss are") {
  Rib rib = two_links();
  Neighbor n{{1, ip("192.0.2.1")}, {{2, 0, 0, 0, 0, 9}}, true};
  rib.apply({Action::kAdd, n});
  CHECK(rib.take_changes().neighbors == std::vector<NeighborKey>{n.key});
  CHECK(rib.neighbor(1, ip("192.0.2.1")) == n.mac);
  n.managed = true;
  rib.apply({Action::kAdd, n});
  CHECK(rib.take_changes().none());
  CHECK(rib.neighbor_entry(n.key)->managed);
  n.mac.bytes[5] = 10;
  rib.apply({Action::kAdd, n});
  CHECK(rib.take_changes().neighbors.size() == 1);
  n.usable = false;
  rib.apply({Action::kAdd, n});
  CHECK(rib.take_changes().neighbors.size() == 1);
  CHECK_FALSE(rib.neighbor(1, ip("192.0.2.1")));
  CHECK(rib.neighbor_entry(n.key) != nullptr);
  rib.apply({Action::kRemove, n});
  CHECK(rib.take_changes().none());
  CHECK(rib.neighbor_entry(n.key) == nullptr);
}

TEST_CASE("adopting a dump tells only what differs") {
  Rib rib = two_links();
  rib.apply({Action::kAdd, unicast(prefix("10.0.0.0", 8), {{1, ip("192.0.2.1"), 1}})});
  rib.apply({Action::kAdd, Neighbor{{1, ip("192.0.2.1")}, {{2, 0, 0, 0, 0, 9}}, true}});
  rib.take_changes();
  Rib fresh = two_links();
  fresh.apply({Action::kAdd, unicast(prefix("11.0.0.0", 8), {{1, ip("192.0.2.1"), 1}})});
  fresh.apply({Action::kAdd, Neighbor{{1, ip("192.0.2.2")}, {{2, 0, 0, 0, 0, 9}}, true}});
  rib.adopt(std::move(fresh));
  const Changes c = rib.take_changes();
  CHECK_FALSE(c.all);
  CHECK_FALSE(c.links);
  CHECK(c.routes == std::vector<net::Prefix>{prefix("10.0.0.0", 8), prefix("11.0.0.0", 8)});
  CHECK(c.neighbors == std::vector<NeighborKey>{{1, ip("192.0.2.1")}, {1, ip("192.0.2.2")}});
  CHECK(rib.lookup(ip("10.0.0.1")).kind == RouteKind::kNone);
  CHECK(rib.lookup(ip("11.0.0.1")).kind == RouteKind::kUnicast);
}

TEST_CASE("lookups agree with a slow obvious twin") {
  Rib rib = two_links();
  std::map<net::Prefix, Hop> twin{{prefix("192.0.2.0", 24), {1, {}, 1}}, {prefix("198.51.100.0", 24), {2, {}, 1}}};
  std::mt19937 random(1);
  const auto any_address = [&] {
    net::IpAddress a = random() % 2 ? ip("10.0.0.0") : ip("2001:db8::");
    for (size_t i : {13, 14, 15}) a.bytes[i] = static_cast<uint8_t>(random() % 4 * 64);
    return a;
  };
  for (int i = 0; i < 3000; ++i) {
    const net::IpAddress a = any_address();
    const net::Prefix p = prefix_of(a, random() % (address_bits(a) + 1));
    const Hop hop{1 + static_cast<int>(random() % 2), a.is_v4() ? ip("192.0.2.1") : ip("fe80::1"), 1};
    if (random() % 3 != 0) {
      rib.apply({Action::kReplace, unicast(p, {hop})});
      twin[p] = hop;
    } else if (const auto known = twin.find(p); known != twin.end() && !known->second.on_link()) {
      rib.apply({Action::kRemove, unicast(p, {known->second})});
      twin.erase(known);
    }
    const net::IpAddress d = any_address();
    const net::Prefix* best = nullptr;
    for (const auto& [q, h] : twin)
      if (contains(q, d) && (best == nullptr || q.length > best->length)) best = &q;
    const Resolution r = rib.lookup(d);
    REQUIRE((r.kind == RouteKind::kUnicast) == (best != nullptr));
    if (best != nullptr) REQUIRE(r.hops[0].ifindex == twin[*best].ifindex);
  }
}

TEST_CASE("100,000 routes are taken in and gone through in little time") {
  Rib rib = two_links();
  const auto start = std::chrono::steady_clock::now();
  for (uint32_t i = 0; i < 100'000; ++i)
    rib.apply(
        {Action::kAdd, unicast({net::IpAddress::v4(net::Be32(0x0b000000 + (i << 8))), 24}, {{1, ip("192.0.2.1"), 1}})});
  size_t seen = 0;
  rib.for_each_route([&](const net::Prefix&, const Resolution& r) { seen += r.hops.size(); });
  const auto took = std::chrono::steady_clock::now() - start;
  CHECK(seen == 100'002);
  CHECK(took < std::chrono::seconds(5));  // 0.1 s here; a quadratic step would take minutes
  CHECK(rib.take_changes().all);
}

}  // namespace guideway::control
