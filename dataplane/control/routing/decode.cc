// libmnl walks the attributes: it checks bounds and nothing more, where libnl-route would bring caches and a model of
// its own.
#include "dataplane/control/routing/decode.h"

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <optional>

namespace guideway::control {
namespace {

using net::IpAddress;

// The attributes of one message or nest, by type; the last of a type counts, types of N and above are unknown to us.
template <size_t N>
class Attributes {
 public:
  Attributes(const void* first, size_t bytes) {
    const auto* p = static_cast<const char*>(first);
    auto left = static_cast<int>(bytes);
    while (left > 0) {
      const auto* a = reinterpret_cast<const nlattr*>(p);
      if (!mnl_attr_ok(a, left)) {
        broken_ = left >= static_cast<int>(sizeof(nlattr));  // fewer are padding
        return;
      }
      if (mnl_attr_get_type(a) < N) at_[mnl_attr_get_type(a)] = a;
      const int step = MNL_ALIGN(a->nla_len);
      p += step;
      left -= step;
    }
  }
  bool broken() const { return broken_; }
  bool has(size_t type) const { return at_[type] != nullptr; }
  std::span<const std::byte> payload(size_t type) const {
    const nlattr* a = at_[type];
    if (a == nullptr) return {};
    return {static_cast<const std::byte*>(mnl_attr_get_payload(a)), mnl_attr_get_payload_len(a)};
  }
  template <typename T>
  std::optional<T> value(size_t type) const {
    const auto bytes = payload(type);
    if (bytes.size() < sizeof(T)) return std::nullopt;
    T v;
    std::memcpy(&v, bytes.data(), sizeof v);
    return v;
  }
  uint32_t u32(size_t type) const { return value<uint32_t>(type).value_or(0); }

 private:
  std::array<const nlattr*, N> at_{};
  bool broken_ = false;
};

// Nothing for a wrong length and for IPv4-mapped IPv6.
std::optional<IpAddress> ip_of(std::span<const std::byte> bytes) {
  if (bytes.size() == 4) {
    uint32_t wire;
    std::memcpy(&wire, bytes.data(), 4);
    return IpAddress::v4(net::Be32::from_wire(wire));
  }
  if (bytes.size() != 16) return std::nullopt;
  IpAddress a;
  std::memcpy(a.bytes.data(), bytes.data(), 16);
  return a.is_v4() ? std::nullopt : std::optional(a);
}

bool is_multicast(const IpAddress& a) { return a.is_v4() ? a.bytes[12] >= 224 : a.bytes[0] == 0xff; }

// One message: its fixed header and the attributes behind it. Null if it is cut short.
template <typename Header>
const Header* header_of(const nlmsghdr* m) {
  return mnl_nlmsg_get_payload_len(m) >= sizeof(Header) ? static_cast<const Header*>(mnl_nlmsg_get_payload(m))
                                                        : nullptr;
}
template <size_t N, typename Header>
Attributes<N> attributes_of(const nlmsghdr* m, const Header*) {
  const size_t fixed = MNL_ALIGN(sizeof(Header));
  const size_t payload = mnl_nlmsg_get_payload_len(m);
  return {mnl_nlmsg_get_payload_offset(m, sizeof(Header)), payload > fixed ? payload - fixed : 0};
}

enum class Verdict { kEvent, kLeftOut, kMalformed };

uint16_t vlan_of(std::span<const std::byte> linkinfo) {
  const Attributes<IFLA_INFO_MAX + 1> info(linkinfo.data(), linkinfo.size());
  const auto kind = info.payload(IFLA_INFO_KIND);
  if (kind.size() < 4 || std::memcmp(kind.data(), "vlan", 4) != 0) return 0;
  const auto nest = info.payload(IFLA_INFO_DATA);
  return Attributes<IFLA_VLAN_MAX + 1>(nest.data(), nest.size()).template value<uint16_t>(IFLA_VLAN_ID).value_or(0);
}

Verdict decode_link(const nlmsghdr* m, Event& event) {
  const auto* h = header_of<ifinfomsg>(m);
  if (h == nullptr) return Verdict::kMalformed;
  // A bridge says here that a port left it, which isn't the end of the link.
  if (h->ifi_family != AF_UNSPEC) return Verdict::kLeftOut;
  const auto at = attributes_of<IFLA_MAX + 1>(m, h);
  if (at.broken() || h->ifi_index <= 0) return Verdict::kMalformed;
  Link link;
  link.ifindex = h->ifi_index;
  const auto name = at.payload(IFLA_IFNAME);
  const auto* text = reinterpret_cast<const char*>(name.data());
  if (!name.empty()) link.name.assign(text, strnlen(text, name.size()));
  const auto mac = at.payload(IFLA_ADDRESS);
  if (mac.size() == 6) std::memcpy(link.mac.bytes.data(), mac.data(), 6);
  link.mtu = at.u32(IFLA_MTU);
  link.up = (h->ifi_flags & IFF_UP) != 0;
  link.lower_up = (h->ifi_flags & IFF_LOWER_UP) != 0;
  link.resolves = (h->ifi_flags & (IFF_NOARP | IFF_POINTOPOINT | IFF_LOOPBACK)) == 0 && h->ifi_type == ARPHRD_ETHER;
  // With IFLA_LINK_NETNSID the index is another namespace's (a veth's peer).
  if (!at.has(IFLA_LINK_NETNSID)) link.parent = static_cast<int>(at.u32(IFLA_LINK));
  const auto info = at.payload(IFLA_LINKINFO);
  link.vlan = vlan_of(info);
  event.what = std::move(link);
  return Verdict::kEvent;
}

AddressScope scope_of(uint8_t rt_scope) {
  if (rt_scope >= RT_SCOPE_HOST) return AddressScope::kHost;
  return rt_scope == RT_SCOPE_LINK ? AddressScope::kLink : AddressScope::kGlobal;
}

Verdict decode_address(const nlmsghdr* m, Event& event) {
  const auto* h = header_of<ifaddrmsg>(m);
  if (h == nullptr) return Verdict::kMalformed;
  if (h->ifa_family != AF_INET && h->ifa_family != AF_INET6) return Verdict::kLeftOut;
  const auto at = attributes_of<IFA_MAX + 1>(m, h);
  if (at.broken()) return Verdict::kMalformed;
  // IFA_ADDRESS is the peer's where the link is point-to-point; IFA_LOCAL, if there, is always ours.
  const auto local = ip_of(at.payload(at.has(IFA_LOCAL) ? IFA_LOCAL : IFA_ADDRESS));
  if (!local || h->ifa_prefixlen > address_bits(*local)) return Verdict::kMalformed;
  const uint32_t flags = at.template value<uint32_t>(IFA_FLAGS).value_or(h->ifa_flags);
  event.what = Address{.ifindex = static_cast<int>(h->ifa_index),
                       .address = *local,
                       .prefix_length = h->ifa_prefixlen,
                       .scope = scope_of(h->ifa_scope),
                       .preferred = (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED)) == 0};
  return Verdict::kEvent;
}

// The hop of RTA_OIF, RTA_GATEWAY and RTA_VIA, which stand alike in a route and in each part of RTA_MULTIPATH.
template <size_t N>
std::optional<Hop> hop_of(const Attributes<N>& at, int ifindex, uint32_t weight) {
  Hop hop{.ifindex = ifindex, .next_hop = {}, .weight = weight};
  auto gateway = at.payload(RTA_GATEWAY);
  if (at.has(RTA_VIA)) {  // struct rtvia: the family, then the address
    gateway = at.payload(RTA_VIA);
    if (gateway.size() < sizeof(uint16_t)) return std::nullopt;
    gateway = gateway.subspan(sizeof(uint16_t));
  } else if (!at.has(RTA_GATEWAY)) {
    return hop;
  }
  const auto address = ip_of(gateway);
  if (!address) return std::nullopt;
  hop.next_hop = *address;
  return hop;
}

// False if malformed.
bool decode_multipath(std::span<const std::byte> bytes, Route& route) {
  while (bytes.size() >= sizeof(rtnexthop)) {
    rtnexthop h;
    std::memcpy(&h, bytes.data(), sizeof h);
    if (h.rtnh_len < sizeof h || h.rtnh_len > bytes.size()) return false;
    const Attributes<RTA_MAX + 1> at(bytes.data() + sizeof h, h.rtnh_len - sizeof h);
    const auto hop = hop_of(at, h.rtnh_ifindex, h.rtnh_hops + 1U);
    if (!hop || at.broken()) return false;
    if (at.has(RTA_ENCAP)) route.kind = RouteKind::kUnreachable;
    route.hops.push_back(*hop);
    bytes = bytes.subspan(std::min<size_t>(RTNH_ALIGN(h.rtnh_len), bytes.size()));
  }
  return true;
}

RouteKind kind_of(uint8_t type) {
  switch (type) {
    case RTN_UNICAST:
      return RouteKind::kUnicast;
    case RTN_LOCAL:
    case RTN_BROADCAST:
    case RTN_ANYCAST:
    case RTN_MULTICAST:
      return RouteKind::kLocal;
    case RTN_BLACKHOLE:
      return RouteKind::kBlackhole;
    case RTN_PROHIBIT:
      return RouteKind::kProhibit;
    default:
      return RouteKind::kUnreachable;
  }
}

Verdict decode_route(const nlmsghdr* m, Event& event) {
  const auto* h = header_of<rtmsg>(m);
  if (h == nullptr) return Verdict::kMalformed;
  if (h->rtm_family != AF_INET && h->rtm_family != AF_INET6) return Verdict::kLeftOut;
  const auto at = attributes_of<RTA_MAX + 1>(m, h);
  const uint32_t table = at.template value<uint32_t>(RTA_TABLE).value_or(h->rtm_table);
  if (table != RT_TABLE_MAIN && table != RT_TABLE_LOCAL) return Verdict::kLeftOut;
  if ((h->rtm_flags & RTM_F_CLONED) != 0 || h->rtm_tos != 0 || h->rtm_src_len != 0) return Verdict::kLeftOut;
  const size_t size = h->rtm_family == AF_INET ? 4 : 16;
  std::array<std::byte, 16> any{};
  const auto bytes = at.has(RTA_DST) ? at.payload(RTA_DST) : std::span<const std::byte>(any.data(), size);
  if (at.broken() || bytes.size() != size || h->rtm_dst_len > 8 * size) return Verdict::kMalformed;
  const auto destination = ip_of(bytes);
  if (!destination) return Verdict::kLeftOut;

  Route route;
  route.prefix = prefix_of(*destination, h->rtm_dst_len);
  route.kind = at.has(RTA_ENCAP) ? RouteKind::kUnreachable : kind_of(h->rtm_type);
  route.local_table = table == RT_TABLE_LOCAL;
  route.metric = at.u32(RTA_PRIORITY);
  route.nexthop_id = at.u32(RTA_NH_ID);
  if (const auto source = ip_of(at.payload(RTA_PREFSRC))) route.source = *source;
  const auto metrics = at.payload(RTA_METRICS);
  route.mtu = Attributes<RTAX_MAX + 1>(metrics.data(), metrics.size()).u32(RTAX_MTU);
  if (route.nexthop_id == 0 && route.kind == RouteKind::kUnicast) {
    const auto hop = hop_of(at, static_cast<int>(at.u32(RTA_OIF)), 1);
    if (!hop) return Verdict::kMalformed;
    if (!at.has(RTA_MULTIPATH))
      route.hops.push_back(*hop);
    else if (!decode_multipath(at.payload(RTA_MULTIPATH), route))
      return Verdict::kMalformed;
  }
  event.what = std::move(route);
  return Verdict::kEvent;
}

// struct nexthop_grp, whose reserved byte became the weight's upper half in 6.12; before, it is zero.
struct GroupMember {
  uint32_t id;
  uint8_t weight;
  uint8_t weight_high;
  uint16_t reserved;
};
static_assert(sizeof(GroupMember) == sizeof(nexthop_grp));

Verdict decode_nexthop(const nlmsghdr* m, Event& event) {
  const auto* h = header_of<nhmsg>(m);
  if (h == nullptr) return Verdict::kMalformed;
  const auto at = attributes_of<NHA_MAX + 1>(m, h);
  if (at.broken() || at.u32(NHA_ID) == 0) return Verdict::kMalformed;
  if (at.has(NHA_FDB)) return Verdict::kLeftOut;
  Nexthop nexthop;
  nexthop.id = at.u32(NHA_ID);
  nexthop.hop.ifindex = static_cast<int>(at.u32(NHA_OIF));
  if (at.has(NHA_GATEWAY)) {
    const auto gateway = ip_of(at.payload(NHA_GATEWAY));
    if (!gateway) return Verdict::kMalformed;
    nexthop.hop.next_hop = *gateway;
  }
  if (at.has(NHA_BLACKHOLE)) nexthop.kind = RouteKind::kBlackhole;
  if (at.has(NHA_ENCAP)) nexthop.kind = RouteKind::kUnreachable;
  for (auto rest = at.payload(NHA_GROUP); rest.size() >= sizeof(GroupMember);
       rest = rest.subspan(sizeof(GroupMember))) {
    GroupMember member;
    std::memcpy(&member, rest.data(), sizeof member);
    nexthop.group.push_back({member.id, (member.weight | member.weight_high << 8U) + 1U});
  }
  event.what = std::move(nexthop);
  return Verdict::kEvent;
}

Verdict decode_neighbor(const nlmsghdr* m, Event& event) {
  const auto* h = header_of<ndmsg>(m);
  if (h == nullptr) return Verdict::kMalformed;
  if (h->ndm_family != AF_INET && h->ndm_family != AF_INET6) return Verdict::kLeftOut;  // a bridge's FDB
  if ((h->ndm_flags & NTF_PROXY) != 0) return Verdict::kLeftOut;
  const auto at = attributes_of<NDA_MAX + 1>(m, h);
  const auto address = ip_of(at.payload(NDA_DST));
  if (at.broken() || !address) return Verdict::kMalformed;
  if (is_multicast(*address)) return Verdict::kLeftOut;
  Neighbor n;
  n.key = {h->ndm_ifindex, *address};
  constexpr unsigned kResolved = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;
  const auto mac = at.payload(NDA_LLADDR);
  if (mac.size() == 6) std::memcpy(n.mac.bytes.data(), mac.data(), 6);
  n.usable = (h->ndm_state & kResolved) != 0 && mac.size() == 6;
  if (!n.usable) n.mac = {};
  n.fixed = (h->ndm_state & (NUD_PERMANENT | NUD_NOARP)) != 0;
  n.managed = (at.u32(NDA_FLAGS_EXT) & NTF_EXT_MANAGED) != 0;
  event.what = n;
  return Verdict::kEvent;
}

Event::Action action_of(const nlmsghdr* m) {
  switch (m->nlmsg_type) {
    case RTM_DELLINK:
    case RTM_DELADDR:
    case RTM_DELROUTE:
    case RTM_DELNEXTHOP:
    case RTM_DELNEIGH:
      return Event::Action::kRemove;
    default:
      break;
  }
  if ((m->nlmsg_flags & NLM_F_REPLACE) != 0) return Event::Action::kReplace;
  // A dump lists routes in the order of their rank.
  return (m->nlmsg_flags & (NLM_F_APPEND | NLM_F_MULTI)) != 0 ? Event::Action::kAppend : Event::Action::kAdd;
}

Verdict decode_one(const nlmsghdr* m, Event& event) {
  event.action = action_of(m);
  switch (m->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return decode_link(m, event);
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return decode_address(m, event);
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      return decode_route(m, event);
    case RTM_NEWNEXTHOP:
    case RTM_DELNEXTHOP:
      return decode_nexthop(m, event);
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH:
      return decode_neighbor(m, event);
    default:
      return Verdict::kLeftOut;
  }
}

// NLMSG_ERROR and NLMSG_DONE both begin with a negative errno; the end of an old kernel's dump may lack it.
void decode_end(const nlmsghdr* m, Decoded& out) {
  out.done = true;
  int error = 0;
  if (mnl_nlmsg_get_payload_len(m) >= sizeof error) std::memcpy(&error, mnl_nlmsg_get_payload(m), sizeof error);
  if (error < 0) out.error = -error;
}

}  // namespace

void decode(std::span<const std::byte> datagram, Decoded& out) {
  auto left = static_cast<int>(datagram.size());
  const auto* m = reinterpret_cast<const nlmsghdr*>(datagram.data());
  for (; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
    if ((m->nlmsg_flags & NLM_F_DUMP_INTR) != 0) out.interrupted = true;
    if (m->nlmsg_type == NLMSG_ERROR || m->nlmsg_type == NLMSG_DONE) {
      decode_end(m, out);
      continue;
    }
    Event event;
    const Verdict verdict = decode_one(m, event);
    if (verdict == Verdict::kEvent) out.events.push_back(std::move(event));
    if (verdict == Verdict::kMalformed) ++out.malformed;
  }
  if (left > 0) ++out.malformed;
}

}  // namespace guideway::control
