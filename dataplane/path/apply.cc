#include "dataplane/path/apply.h"

#include <cstring>

#include "dataplane/path/encapsulate.h"
#include "dataplane/path/icmp.h"
#include "dataplane/path/sctp.h"
#include "net/checksum.h"

namespace guideway::path {

namespace {

using net::DropReason;

// False if the packet's life ends here.
bool age(net::Ipv4Header* h) {
  if (h->ttl <= 1) return false;
  uint16_t before;
  uint16_t after;
  std::memcpy(&before, &h->ttl, 2);
  --h->ttl;
  std::memcpy(&after, &h->ttl, 2);
  h->checksum = net::adjust(h->checksum, net::checksum_delta(before, after));
  return true;
}

bool age(net::Ipv6Header* h) {
  if (h->hop_limit <= 1) return false;
  --h->hop_limit;
  return true;
}

void set_addresses(net::Ipv4Header* h, const Translation<net::Be32>& to) {
  h->source = to.source;
  h->destination = to.destination;
  h->checksum = net::adjust(h->checksum, to.l3_delta);
}

void set_addresses(net::Ipv6Header* h, const Translation<net::IpAddress>& to) {
  h->source = to.source;
  h->destination = to.destination;
}

// A wrong checksum stays as wrong, for it isn't ours to judge.
template <typename Address>
void set_ports(const Packet& p, uint8_t* l4, const Translation<Address>& to) {
  if (p.is(net::Protocol::kSctp)) {
    uint32_t ports;
    std::memcpy(&ports, &to.source_port, sizeof ports);
    return set_sctp_ports(l4, static_cast<uint32_t>(p.l3_length - p.l4_offset), ports);
  }
  std::memcpy(l4, &to.source_port, 4);
  if (p.is(net::Protocol::kTcp)) {
    auto* h = reinterpret_cast<net::TcpHeader*>(l4);
    h->checksum = net::adjust(h->checksum, to.l4_delta);
    return;
  }
  auto* h = reinterpret_cast<net::UdpHeader*>(l4);
  h->checksum = net::adjust_udp(h->checksum, to.l4_delta);
}

// A later piece has no ports, and the checksum is in the first.
bool is_first(const net::Ipv4Header& h) { return h.is_first(); }
bool is_first(const net::Ipv6Header&) { return true; }

template <typename Header, typename Entry>
void translate(Packet& p, const ConnectionTable<Entry>& table) {
  auto* h = reinterpret_cast<Header*>(p.l3);
  // Its checksum is over the whole datagram, whose end isn't known here.
  if (p.is(net::Protocol::kSctp) && is_fragment(p.kind)) return p.drop(DropReason::FRAGMENT);
  if (!age(h)) return p.drop(DropReason::TTL_EXCEEDED);
  const Entry& e = table.entry(p.slot);
  if (p.kind == Kind::kIcmpError) return translate_error(p, e.translation);
  set_addresses(h, e.translation);
  if (p.kind != Kind::kFragment && is_first(*h)) set_ports(p, p.l3 + p.l4_offset, e.translation);
}

}  // namespace

// In one loop without calls, as in parse.
[[gnu::flatten]] void apply(Burst& burst, const Connections& connections, const Tables& t) {
  for (Packet& p : burst.all()) {
    if (!p.live() || p.answer) continue;
    switch (p.mode) {
      case Mode::kDsrL2:
        break;
      case Mode::kDsrIpip:
        put_ipip(p, t.reals[p.real]);
        break;
      case Mode::kDsrGue:
        put_gue(p, t.reals[p.real]);
        break;
      case Mode::kNat:
        p.family == Family::kIpv4 ? translate<net::Ipv4Header>(p, connections.v4)
                                  : translate<net::Ipv6Header>(p, connections.v6);
        break;
    }
  }
}

}  // namespace guideway::path
