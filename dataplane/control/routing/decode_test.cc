// Messages as the kernel lays them out, built with libmnl; and each of them cut short at every byte.
#include "dataplane/control/routing/decode.h"

#include <catch2/catch.hpp>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cstring>

namespace guideway::control {
namespace {

net::IpAddress ip(const char* text) { return *net::parse_ip(text); }

// One message in a buffer aligned as netlink wants it.
class Message {
 public:
  template <typename Header>
  Message(uint16_t type, const Header& header, uint16_t flags = 0) : bytes_(2048) {
    m_ = mnl_nlmsg_put_header(bytes_.data());
    m_->nlmsg_type = type;
    m_->nlmsg_flags = flags;
    std::memcpy(mnl_nlmsg_put_extra_header(m_, sizeof header), &header, sizeof header);
  }
  Message& put(uint16_t type, const net::IpAddress& a) {
    const size_t skip = a.is_v4() ? 12 : 0;
    mnl_attr_put(m_, type, 16 - skip, a.bytes.data() + skip);
    return *this;
  }
  Message& put(uint16_t type, uint32_t v) { return mnl_attr_put_u32(m_, type, v), *this; }
  Message& raw(uint16_t type, size_t size, const void* bytes) { return mnl_attr_put(m_, type, size, bytes), *this; }
  nlmsghdr* header() { return m_; }
  std::span<const std::byte> bytes() const { return {bytes_.data(), m_->nlmsg_len}; }

 private:
  std::vector<std::byte> bytes_;
  nlmsghdr* m_;
};

Decoded decoded(std::span<const std::byte> bytes) {
  // On the heap in the exact size, so that a sanitizer sees a read past the end.
  const std::vector<std::byte> exact(bytes.begin(), bytes.end());
  Decoded out;
  decode(exact, out);
  return out;
}

template <typename T>
T only(const Message& m) {
  const Decoded d = decoded(m.bytes());
  REQUIRE(d.malformed == 0);
  REQUIRE(d.events.size() == 1);
  REQUIRE(std::holds_alternative<T>(d.events[0].what));
  return std::get<T>(d.events[0].what);
}

void add_multipath_hop(std::vector<char>& out, int ifindex, uint8_t weight, const net::IpAddress& gateway) {
  const size_t at = out.size();
  out.resize(at + sizeof(rtnexthop) + sizeof(nlattr) + 4);
  rtnexthop h{};
  h.rtnh_len = static_cast<uint16_t>(out.size() - at);
  h.rtnh_hops = static_cast<uint8_t>(weight - 1);
  h.rtnh_ifindex = ifindex;
  std::memcpy(out.data() + at, &h, sizeof h);
  const nlattr a{sizeof(nlattr) + 4, RTA_GATEWAY};
  std::memcpy(out.data() + at + sizeof h, &a, sizeof a);
  std::memcpy(out.data() + at + sizeof h + sizeof a, gateway.bytes.data() + 12, 4);
}

Message multipath_route() {
  Message m(RTM_NEWROUTE,
            rtmsg{.rtm_family = AF_INET, .rtm_dst_len = 16, .rtm_table = RT_TABLE_MAIN, .rtm_type = RTN_UNICAST},
            NLM_F_REPLACE);
  std::vector<char> hops;
  add_multipath_hop(hops, 2, 1, ip("192.0.2.1"));
  add_multipath_hop(hops, 3, 7, ip("198.51.100.1"));
  m.put(RTA_TABLE, uint32_t{RT_TABLE_MAIN}).put(RTA_DST, ip("10.1.0.0")).put(RTA_PRIORITY, 20U);
  m.put(RTA_PREFSRC, ip("192.0.2.9"));
  nlattr* metrics = mnl_attr_nest_start(m.header(), RTA_METRICS);
  m.put(RTAX_MTU, 1400U);
  mnl_attr_nest_end(m.header(), metrics);
  m.raw(RTA_MULTIPATH, hops.size(), hops.data());
  return m;
}

}  // namespace

TEST_CASE("a link is decoded") {
  const net::MacAddress mac = *net::parse_mac("02:00:00:00:00:07");
  Message m(
      RTM_NEWLINK,
      ifinfomsg{.ifi_family = AF_UNSPEC, .ifi_type = ARPHRD_ETHER, .ifi_index = 7, .ifi_flags = IFF_UP | IFF_LOWER_UP});
  m.raw(IFLA_IFNAME, 5, "eth0").put(IFLA_MTU, 1500U).raw(IFLA_ADDRESS, 6, mac.bytes.data()).put(IFLA_LINK, 3U);
  nlattr* info = mnl_attr_nest_start(m.header(), IFLA_LINKINFO);
  m.raw(IFLA_INFO_KIND, 5, "vlan");
  nlattr* vlan = mnl_attr_nest_start(m.header(), IFLA_INFO_DATA);
  mnl_attr_put_u16(m.header(), IFLA_VLAN_ID, 100);
  mnl_attr_nest_end(m.header(), vlan);
  mnl_attr_nest_end(m.header(), info);
  CHECK(only<Link>(m) == Link{7, "eth0", mac, 1500, true, true, true, 3, 100});

  const Message tunnel(
      RTM_NEWLINK,
      ifinfomsg{.ifi_type = ARPHRD_NONE, .ifi_index = 8, .ifi_flags = IFF_UP | IFF_NOARP | IFF_POINTOPOINT});
  CHECK_FALSE(only<Link>(tunnel).resolves);
  CHECK_FALSE(only<Link>(tunnel).lower_up);
  // A port that left its bridge.
  CHECK(decoded(Message(RTM_DELLINK, ifinfomsg{.ifi_family = AF_BRIDGE, .ifi_index = 7}).bytes()).events.empty());
}

TEST_CASE("a multipath route is decoded") {
  const Message m = multipath_route();
  const Route r = only<Route>(m);
  CHECK(decoded(m.bytes()).events[0].action == Event::Action::kReplace);
  CHECK(to_string(r.prefix) == "10.1.0.0/16");
  CHECK(r.kind == RouteKind::kUnicast);
  CHECK(r.metric == 20);
  CHECK(r.mtu == 1400);
  CHECK(r.source == ip("192.0.2.9"));
  CHECK(r.hops == std::vector<Hop>{{2, ip("192.0.2.1"), 1}, {3, ip("198.51.100.1"), 7}});
}

TEST_CASE("kinds, tables and next hops of routes") {
  rtmsg h{.rtm_family = AF_INET, .rtm_dst_len = 24, .rtm_table = RT_TABLE_MAIN, .rtm_type = RTN_BLACKHOLE};
  CHECK(only<Route>(Message(RTM_NEWROUTE, h).put(RTA_DST, ip("10.0.0.0"))).kind == RouteKind::kBlackhole);
  h.rtm_type = RTN_PROHIBIT;
  CHECK(only<Route>(Message(RTM_NEWROUTE, h).put(RTA_DST, ip("10.0.0.0"))).kind == RouteKind::kProhibit);
  h.rtm_type = RTN_UNICAST;
  h.rtm_table = RT_TABLE_COMPAT;
  CHECK(decoded(Message(RTM_NEWROUTE, h).put(RTA_TABLE, 1000U).put(RTA_DST, ip("10.0.0.0")).bytes()).events.empty());

  SECTION("an IPv4 route by an IPv6 next hop") {
    h.rtm_table = RT_TABLE_MAIN;
    const net::IpAddress via = ip("fe80::1");
    char rtvia[18];
    const uint16_t family = AF_INET6;
    std::memcpy(rtvia, &family, 2);
    std::memcpy(rtvia + 2, via.bytes.data(), 16);
    const auto r = only<Route>(
        Message(RTM_NEWROUTE, h).put(RTA_DST, ip("10.0.0.0")).put(RTA_OIF, 2U).raw(RTA_VIA, sizeof rtvia, rtvia));
    CHECK(r.hops == std::vector<Hop>{{2, via, 1}});
  }
  SECTION("the default route has no destination") {
    const rtmsg any{.rtm_family = AF_INET6, .rtm_table = RT_TABLE_MAIN, .rtm_type = RTN_UNICAST};
    const auto r = only<Route>(Message(RTM_NEWROUTE, any).put(RTA_OIF, 2U).put(RTA_GATEWAY, ip("2001:db8::1")));
    CHECK(to_string(r.prefix) == "::/0");
  }
  SECTION("a route by a next-hop object has its hops from there") {
    h.rtm_table = RT_TABLE_MAIN;
    const auto r =
        only<Route>(Message(RTM_NEWROUTE, h).put(RTA_DST, ip("10.0.0.0")).put(RTA_OIF, 2U).put(RTA_NH_ID, 9U));
    CHECK(r.nexthop_id == 9);
    CHECK(r.hops.empty());
  }
  SECTION("a lightweight tunnel can't be followed") {
    h.rtm_table = RT_TABLE_MAIN;
    const auto r =
        only<Route>(Message(RTM_NEWROUTE, h).put(RTA_DST, ip("10.0.0.0")).put(RTA_OIF, 2U).put(RTA_ENCAP, 0U));
    CHECK(r.kind == RouteKind::kUnreachable);
  }
  SECTION("a hop that is longer than the attribute that holds it") {
    h.rtm_table = RT_TABLE_MAIN;
    std::vector<char> hops;
    add_multipath_hop(hops, 2, 1, ip("192.0.2.1"));
    hops[0] = static_cast<char>(hops.size() + 8);  // rtnh_len
    Message m(RTM_NEWROUTE, h);
    m.put(RTA_DST, ip("10.0.0.0")).raw(RTA_MULTIPATH, hops.size(), hops.data()).put(RTA_PRIORITY, 1U);
    CHECK(decoded(m.bytes()).malformed == 1);
  }
  SECTION("lengths that can't be") {
    h.rtm_dst_len = 33;
    h.rtm_table = RT_TABLE_MAIN;
    CHECK(decoded(Message(RTM_NEWROUTE, h).put(RTA_DST, ip("10.0.0.0")).bytes()).malformed == 1);
    h.rtm_dst_len = 24;
    CHECK(decoded(Message(RTM_NEWROUTE, h).put(RTA_DST, ip("2001:db8::")).bytes()).malformed == 1);
  }
}

TEST_CASE("next-hop objects are decoded") {
  const uint8_t members[] = {1, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 0xff, 1, 0, 0};
  const auto group = only<Nexthop>(Message(RTM_NEWNEXTHOP, nhmsg{}).put(NHA_ID, 10U).raw(NHA_GROUP, 16, members));
  CHECK(group.group == std::vector<NexthopMember>{{1, 5}, {2, 512}});
  const auto hop = only<Nexthop>(Message(RTM_NEWNEXTHOP, nhmsg{.nh_family = AF_INET})
                                     .put(NHA_ID, 1U)
                                     .put(NHA_OIF, 2U)
                                     .put(NHA_GATEWAY, ip("192.0.2.1")));
  CHECK(hop.hop == Hop{2, ip("192.0.2.1"), 1});
}

TEST_CASE("neighbours are decoded") {
  const net::MacAddress mac = *net::parse_mac("02:00:00:00:00:07");
  const auto neighbor = [&](uint16_t state) {
    Message m(RTM_NEWNEIGH, ndmsg{.ndm_family = AF_INET, .ndm_ifindex = 2, .ndm_state = state});
    m.put(NDA_DST, ip("192.0.2.1")).raw(NDA_LLADDR, 6, mac.bytes.data()).put(NDA_FLAGS_EXT, uint32_t{NTF_EXT_MANAGED});
    return only<Neighbor>(m);
  };
  for (const uint16_t state : {NUD_REACHABLE, NUD_STALE, NUD_DELAY, NUD_PROBE, NUD_PERMANENT, NUD_NOARP}) {
    CHECK(neighbor(state).usable);
    CHECK(neighbor(state).mac == mac);
  }
  CHECK_FALSE(neighbor(NUD_FAILED).usable);
  CHECK_FALSE(neighbor(NUD_INCOMPLETE).usable);
  CHECK(neighbor(NUD_PERMANENT).fixed);
  CHECK(neighbor(NUD_STALE).managed);
  const Message fdb(RTM_NEWNEIGH, ndmsg{.ndm_family = AF_BRIDGE, .ndm_ifindex = 2});
  CHECK(decoded(fdb.bytes()).events.empty());
  Message multicast(RTM_NEWNEIGH, ndmsg{.ndm_family = AF_INET6, .ndm_ifindex = 2, .ndm_state = NUD_NOARP});
  CHECK(decoded(multicast.put(NDA_DST, ip("ff02::1")).bytes()).events.empty());
}

TEST_CASE("several messages in a datagram, its end, and an error") {
  std::vector<std::byte> datagram;
  const Message first = multipath_route();
  Message end(NLMSG_DONE, int{0}, NLM_F_MULTI | NLM_F_DUMP_INTR);
  for (const Message* m : {&first, const_cast<const Message*>(&end)})
    datagram.insert(datagram.end(), m->bytes().begin(), m->bytes().end());
  const Decoded d = decoded(datagram);
  CHECK(d.events.size() == 1);
  CHECK(d.done);
  CHECK(d.interrupted);
  CHECK(d.error == 0);
  const Decoded refused = decoded(Message(NLMSG_ERROR, nlmsgerr{.error = -EPERM, .msg = {}}).bytes());
  CHECK(refused.done);
  CHECK(refused.error == EPERM);
}

// Truncation is of two sorts: the datagram ends early, or the message says that it is shorter than its attributes.
TEST_CASE("messages cut short at every byte yield nothing wrong") {
  Message m = multipath_route();
  const std::vector<std::byte> whole(m.bytes().begin(), m.bytes().end());
  for (size_t n = 1; n < whole.size(); ++n) {
    const Decoded cut = decoded({whole.data(), n});
    CHECK(cut.events.empty());
    CHECK(cut.malformed == 1);

    std::vector<std::byte> shorter(whole.begin(), whole.begin() + static_cast<long>(n));
    if (n < sizeof(nlmsghdr)) continue;
    const auto length = static_cast<uint32_t>(n);
    std::memcpy(shorter.data(), &length, sizeof length);
    const Decoded d = decoded(shorter);
    for (const Event& e : d.events)  // what is still whole may be told, never an invented hop
      for (const Hop& h : std::get<Route>(e.what).hops) CHECK((h.ifindex == 0 || h.ifindex == 2 || h.ifindex == 3));
  }
  // Attribute lengths that lead outside.
  for (size_t at = sizeof(nlmsghdr) + sizeof(rtmsg); at + 2 <= whole.size(); at += 4) {
    auto bad = whole;
    bad[at] = bad[at + 1] = std::byte{0xff};
    decoded(bad);
  }
}

}  // namespace guideway::control
