#include "dataplane/path/route.h"

#include <array>
#include <cstring>
#include <span>

namespace guideway::path {

namespace {

using net::DropReason;

bool is_reply(const Packet& p) { return p.direction == Direction::kReply; }

// Not to a real: no row of the tables says its route.
bool asks_fib(const Packet& p) { return is_reply(p) || p.answer; }

net::Be32 named4(const Packet& p) { return reinterpret_cast<const net::Ipv4Header*>(p.l3)->destination; }
net::IpAddress named6(const Packet& p) { return reinterpret_cast<const net::Ipv6Header*>(p.l3)->destination; }

// A reply's bytes still name the SNAT address; its entry says what they will name.
net::Be32 destination4(const Packet& p, const Connections& c) {
  return p.answer ? named4(p) : c.v4.entry(p.slot).translation.destination;
}
net::IpAddress destination6(const Packet& p, const Connections& c) {
  return p.answer ? named6(p) : c.v6.entry(p.slot).translation.destination;
}

net::IpAddress destination_of(const Packet& p, const Connections& c) {
  return p.family == Family::kIpv4 ? net::IpAddress::v4(destination4(p, c)) : destination6(p, c);
}

// The routes of all such packets of a family at once, so that their misses are under way together.
template <typename Address, typename Destination>
void look_up(Burst& burst, const Connections& connections, const Fib& fib, Family family, Destination destination) {
  std::array<Address, kBurst> asked;
  std::array<RouteIndex, kBurst> found;
  std::array<Packet*, kBurst> who;
  size_t n = 0;
  for (Packet& p : burst.all()) {
    if (!p.live() || !asks_fib(p) || p.family != family) continue;
    asked[n] = destination(p, connections);
    who[n++] = &p;
  }
  if (n == 0) return;
  fib.lookup_burst(std::span<const Address>(asked.data(), n), {found.data(), n});
  for (size_t i = 0; i < n; ++i) who[i]->route = found[i];
}

// A dsr-l2 packet that comes from the real it is for: the real doesn't know the VIP and sent it back.
bool bounced(const Packet& p, const NextHop& hop) {
  const uint8_t* sender = rte_pktmbuf_mtod(p.mbuf, const uint8_t*) + offsetof(net::EthernetHeader, source);
  return std::memcmp(sender, hop.destination.bytes.data(), sizeof hop.destination) == 0;
}

void send_towards(Packet& p, const Tables& t) {
  const Route& route = t.routes[p.route];
  if (route.unusable != DropReason::NONE) return p.drop(route.unusable);
  // Other bits than Maglev's, or the flows of one real would all take one of its ways.
  const uint32_t n = route.count == 1 ? 0 : gw_slot(p.flow_hash << 32, route.count);
  p.hop = &t.next_hops[route.hops[n]];
  if (p.hop->unusable != DropReason::NONE) p.drop(p.hop->unusable);
}

void send_on_link(Packet& p, const Tables& t) {
  if (!t.reals[p.real].on_link) return p.drop(DropReason::NOT_ON_LINK);
  send_towards(p, t);
  if (p.live() && bounced(p, *p.hop)) p.drop(DropReason::LOOP);
}

void route_by_fib(Burst& burst, const Connections& c, const Tables& t, Glean& glean) {
  look_up<net::Be32>(burst, c, *t.fib, Family::kIpv4, destination4);
  look_up<net::IpAddress>(burst, c, *t.fib, Family::kIpv6, destination6);
  for (Packet& p : burst.all()) {
    if (!p.live() || !asks_fib(p)) continue;
    send_towards(p, t);
    if (!p.live() && p.reason == DropReason::NO_NEIGHBOR) glean.tell(destination_of(p, c));
  }
}

}  // namespace

void route_answer(Packet& p, const Tables& t, Glean& glean) {
  const net::IpAddress to = p.family == Family::kIpv4 ? net::IpAddress::v4(named4(p)) : named6(p);
  p.route = t.fib->lookup(to);
  send_towards(p, t);
  if (!p.live() && p.reason == DropReason::NO_NEIGHBOR) glean.tell(to);
}

void route(Burst& burst, const Connections& connections, const Tables& t, Glean& glean) {
  bool by_fib = false;
  for (Packet& p : burst.all()) {
    if (!p.live()) continue;
    if (asks_fib(p))
      by_fib = true;
    else if (p.mode == Mode::kDsrL2)
      send_on_link(p, t);
    else
      send_towards(p, t);
  }
  if (by_fib) route_by_fib(burst, connections, t, glean);
}

}  // namespace guideway::path
