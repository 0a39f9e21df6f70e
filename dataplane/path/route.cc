#include "dataplane/path/route.h"

#include <array>
#include <cstring>
#include <span>

namespace guideway::path {

namespace {

using net::DropReason;

net::Be32 destination4(const Packet& p) { return reinterpret_cast<const net::Ipv4Header*>(p.l3)->destination; }
net::IpAddress destination6(const Packet& p) { return reinterpret_cast<const net::Ipv6Header*>(p.l3)->destination; }

net::IpAddress destination_of(const Packet& p) {
  return p.family == Family::kIpv4 ? net::IpAddress::v4(destination4(p)) : destination6(p);
}

bool is_reply(const Packet& p) { return p.direction == Direction::kReply; }

// The routes of all replies of a family at once, so that their misses are under way together.
template <typename Address, typename Destination>
void look_up(Burst& burst, const Fib& fib, Family family, Destination destination) {
  std::array<Address, kBurst> asked;
  std::array<RouteIndex, kBurst> found;
  std::array<Packet*, kBurst> who;
  size_t n = 0;
  for (Packet& p : burst.all()) {
    if (!p.live() || !is_reply(p) || p.family != family) continue;
    asked[n] = destination(p);
    who[n++] = &p;
  }
  if (n == 0) return;
  fib.lookup_burst(std::span<const Address>(asked.data(), n), {found.data(), n});
  for (size_t i = 0; i < n; ++i) who[i]->route = found[i];
}

// A dsr-l2 packet that comes from the real it is for: the real doesn't know the VIP and sent it back.
bool bounced(const Packet& p, const uint8_t* frame, const NextHop& hop) {
  return p.mode == Mode::kDsrL2 && std::memcmp(frame + 6, hop.destination.bytes.data(), 6) == 0;
}

void leave(Packet& p, const NextHop& hop) {
  if (p.l3_length > hop.mtu) return p.drop(DropReason::MTU_EXCEEDED);
  const bool v4 = (*p.l3 >> 4) == 4;
  uint8_t* frame = p.l3 - sizeof(net::EthernetHeader);
  if (bounced(p, frame, hop)) return p.drop(DropReason::LOOP);
  const net::Be16 type{static_cast<uint16_t>(v4 ? net::EtherType::kIpv4 : net::EtherType::kIpv6)};
  std::memcpy(frame, &hop.destination, 12);
  std::memcpy(frame + 12, &type, sizeof type);
  p.mbuf->data_off = static_cast<uint16_t>(frame - static_cast<uint8_t*>(p.mbuf->buf_addr));
  p.mbuf->data_len = static_cast<uint16_t>(p.l3_length + sizeof(net::EthernetHeader));
  p.mbuf->pkt_len = p.mbuf->data_len;
  p.out_port = hop.port;
}

void send_towards(Packet& p, const Tables& t) {
  const Route& route = t.routes[p.route];
  if (route.unusable != DropReason::NONE) return p.drop(route.unusable);
  // Other bits than Maglev's, or the flows of one real would all take one of its ways.
  const uint32_t n = route.count == 1 ? 0 : gw_slot(p.flow_hash << 32, route.count);
  const NextHop& hop = t.next_hops[route.hops[n]];
  if (hop.unusable != DropReason::NONE) return p.drop(hop.unusable);
  leave(p, hop);
}

void route_replies(Burst& burst, const Tables& t, Glean& glean) {
  look_up<net::Be32>(burst, *t.fib, Family::kIpv4, destination4);
  look_up<net::IpAddress>(burst, *t.fib, Family::kIpv6, destination6);
  for (Packet& p : burst.all()) {
    if (!p.live() || !is_reply(p)) continue;
    send_towards(p, t);
    if (!p.live() && p.reason == DropReason::NO_NEIGHBOR) glean.tell(destination_of(p));
  }
}

}  // namespace

void route(Burst& burst, const Tables& t, Glean& glean) {
  bool replies = false;
  for (Packet& p : burst.all()) {
    if (!p.live()) continue;
    if (is_reply(p)) {
      replies = true;
    } else if (p.mode == Mode::kDsrL2 && !t.reals[p.real].on_link) {
      p.drop(DropReason::NOT_ON_LINK);
    } else {
      send_towards(p, t);
    }
  }
  if (replies) route_replies(burst, t, glean);
}

}  // namespace guideway::path
