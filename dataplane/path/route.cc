#include "dataplane/path/route.h"

#include <cstring>

namespace guideway::path {

namespace {

using net::DropReason;

RouteIndex look_up(const Packet& p, const Tables& t) {
  if (p.family == Family::kIpv4) return t.fib->lookup(reinterpret_cast<const net::Ipv4Header*>(p.l3)->destination);
  return t.fib->lookup(reinterpret_cast<const net::Ipv6Header*>(p.l3)->destination);
}

net::IpAddress destination_of(const Packet& p) {
  if (p.family == Family::kIpv4) return net::IpAddress::v4(reinterpret_cast<const net::Ipv4Header*>(p.l3)->destination);
  return reinterpret_cast<const net::Ipv6Header*>(p.l3)->destination;
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

void send_towards(Packet& p, RouteIndex index, const Tables& t) {
  const Route& route = t.routes[index];
  if (route.unusable != DropReason::NONE) return p.drop(route.unusable);
  // Other bits than Maglev's, or the flows of one real would all take one of its ways.
  const uint32_t n = route.count == 1 ? 0 : gw_slot(p.flow_hash << 32, route.count);
  const NextHop& hop = t.next_hops[route.hops[n]];
  if (hop.unusable != DropReason::NONE) return p.drop(hop.unusable);
  leave(p, hop);
}

}  // namespace

void route(Burst& burst, const Tables& t, Glean& glean) {
  for (Packet& p : burst.all()) {
    if (!p.live()) continue;
    if (p.mode == Mode::kDsrL2 && !t.reals[p.real].on_link) {
      p.drop(DropReason::NOT_ON_LINK);
      continue;
    }
    const bool reply = p.direction == Direction::kReply;
    send_towards(p, reply ? look_up(p, t) : p.route, t);
    if (reply && !p.live() && p.reason == DropReason::NO_NEIGHBOR) glean.tell(destination_of(p));
  }
}

}  // namespace guideway::path
