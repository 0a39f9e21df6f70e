#include "dataplane/path/apply.h"

#include <cstring>
#include <new>

#include "dataplane/path/icmp.h"
#include "net/checksum.h"

namespace guideway::path {

namespace {

using net::DropReason;

// Moves l3 back over what is put before it, if the buffer has room for that and an Ethernet header.
bool prepend(Packet& p, size_t bytes) {
  const auto room = static_cast<size_t>(p.l3 - static_cast<uint8_t*>(p.mbuf->buf_addr));
  if (room < bytes + sizeof(net::EthernetHeader) || p.l3_length + bytes > 0xffff) return false;
  p.l3 -= bytes;
  p.l3_length = static_cast<uint16_t>(p.l3_length + bytes);
  return true;
}

// Both write the outer header where it belongs, field by field: built aside and then copied, its small stores would
// stall the copy's large loads.
void encapsulate_ipv4(Packet& p, const Real& real) {
  const uint8_t tos = reinterpret_cast<const net::Ipv4Header*>(p.l3)->tos;
  if (!prepend(p, sizeof(net::Ipv4Header))) return p.drop(DropReason::NO_HEADROOM);
  auto* outer = new (p.l3) net::Ipv4Header;
  outer->tos = tos;
  outer->total_length = net::Be16{p.l3_length};
  outer->fragment = net::Be16{net::kIpv4DontFragment};
  outer->protocol = static_cast<uint8_t>(net::Protocol::kIpIp);
  const uint64_t sum = real.outer_sum + (static_cast<uint32_t>(tos) << 8) + net::Be16{p.l3_length}.wire();
  outer->checksum = net::Be16::from_wire(static_cast<uint16_t>(~net::fold(sum)));
  std::memcpy(&outer->source, real.encap_source.bytes.data() + 12, 4);
  std::memcpy(&outer->destination, real.address.bytes.data() + 12, 4);
}

void encapsulate_ipv6(Packet& p, const Real& real) {
  const auto traffic_class = reinterpret_cast<const net::Ipv6Header*>(p.l3)->traffic_class();
  const uint16_t payload = p.l3_length;
  if (!prepend(p, sizeof(net::Ipv6Header))) return p.drop(DropReason::NO_HEADROOM);
  auto* outer = new (p.l3) net::Ipv6Header;
  // The flow label carries the flow hash, so that routers spread flows of one real (RFC 6438).
  const auto label = static_cast<uint32_t>(p.flow_hash) & 0xfffff;
  outer->version_class_flow = net::Be32{6U << 28 | static_cast<uint32_t>(traffic_class) << 20 | label};
  outer->payload_length = net::Be16{payload};
  outer->next_header = static_cast<uint8_t>(net::Protocol::kIpv6);
  outer->source = real.encap_source;
  outer->destination = real.address;
}

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

// A wrong checksum stays as wrong, for it isn't ours to judge; UDP's zero means none (RFC 768) and stays.
template <typename Address>
void set_ports(const Packet& p, uint8_t* l4, const Translation<Address>& to) {
  std::memcpy(l4, &to.source_port, 4);
  if (p.is(net::Protocol::kTcp)) {
    auto* h = reinterpret_cast<net::TcpHeader*>(l4);
    h->checksum = net::adjust(h->checksum, to.l4_delta);
    return;
  }
  auto* h = reinterpret_cast<net::UdpHeader*>(l4);
  if (h->checksum == net::Be16{0}) return;
  h->checksum = net::adjust(h->checksum, to.l4_delta);
  if (h->checksum == net::Be16{0}) h->checksum = net::Be16{0xffff};
}

template <typename Header, typename Entry>
void translate(Packet& p, const ConnectionTable<Entry>& table) {
  auto* h = reinterpret_cast<Header*>(p.l3);
  if (!age(h)) return p.drop(DropReason::TTL_EXCEEDED);
  const Entry& e = table.entry(p.slot);
  if (p.kind == Kind::kIcmpError) return translate_error(p, e.translation);
  set_addresses(h, e.translation);
  set_ports(p, p.l3 + p.l4_offset, e.translation);
}

void tunnel(Packet& p, const Real& real) {
  if (!real.has_encap_source) return p.drop(DropReason::NO_ENCAP_SOURCE);
  p.family == Family::kIpv4 ? encapsulate_ipv4(p, real) : encapsulate_ipv6(p, real);
}

}  // namespace

void apply(Burst& burst, const Connections& connections, const Tables& t) {
  for (Packet& p : burst.all()) {
    if (!p.live() || p.answer) continue;
    switch (p.mode) {
      case Mode::kDsrL2:
        break;
      case Mode::kDsrIpip:
        tunnel(p, t.reals[p.real]);
        break;
      case Mode::kNat:
        p.family == Family::kIpv4 ? translate<net::Ipv4Header>(p, connections.v4)
                                  : translate<net::Ipv6Header>(p, connections.v6);
        break;
    }
  }
}

}  // namespace guideway::path
