// Outer headers: IP in IP, or IP in UDP (GUE, variant 1: the bare packet), each in IPv4 or IPv6. In a header, for it is
// apply()'s inner loop.
//
// Written where they belong, field by field: built aside and then copied, their small stores would stall the copy's
// large loads.
#pragma once

#include <bit>
#include <cstring>
#include <new>

#include "dataplane/path/burst.h"
#include "dataplane/path/tables.h"
#include "net/checksum.h"

namespace guideway::path {

inline constexpr uint32_t kMostOverhead = sizeof(net::Ipv6Header) + sizeof(net::UdpHeader);

// Bytes that apply() will put around the packet.
inline uint32_t overhead(const Packet& p, const Tables& t) {
  if (p.answer || (p.mode != Mode::kDsrIpip && p.mode != Mode::kDsrGue)) return 0;
  const uint32_t ip = t.reals[p.real].is_v4 ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header);
  return p.mode == Mode::kDsrGue ? ip + static_cast<uint32_t>(sizeof(net::UdpHeader)) : ip;
}

// Moves l3 back over what is put before it, if the buffer has room for that and an Ethernet header.
inline bool prepend(Packet& p, size_t bytes) {
  const auto room = static_cast<size_t>(p.l3 - static_cast<uint8_t*>(p.mbuf->buf_addr));
  if (room < bytes + sizeof(net::EthernetHeader)) return false;
  p.l3 -= bytes;
  p.l3_length = static_cast<uint16_t>(p.l3_length + bytes);
  return true;
}

namespace encapsulation {

inline uint8_t tos_of(const Packet& p) {
  if (p.family == Family::kIpv4) return reinterpret_cast<const net::Ipv4Header*>(p.l3)->tos;
  return reinterpret_cast<const net::Ipv6Header*>(p.l3)->traffic_class();
}

// Below its prefix the source of ipip carries the flow hash, so that the receiver's RSS spreads the flows; gue has a
// port for that. Of the address's last 8 bytes, as they stand.
inline uint64_t source_bits(const Packet& p, const Real& real) {
  return p.mode == Mode::kDsrIpip ? std::rotl(p.flow_hash, 32) & real.source_mask : 0;
}

inline void put_ipv4(Packet& p, const Real& real, net::Protocol inside, uint8_t tos) {
  auto* outer = new (p.l3) net::Ipv4Header;
  outer->tos = tos;
  outer->total_length = net::Be16{p.l3_length};
  outer->fragment = net::Be16{net::kIpv4DontFragment};
  outer->protocol = static_cast<uint8_t>(inside);
  const auto varied = static_cast<uint32_t>(source_bits(p, real) >> 32);
  const uint64_t sum = real.outer_sum + (static_cast<uint64_t>(tos) << 8) + net::Be16{p.l3_length}.wire() +
                       (static_cast<uint64_t>(inside) << 8) + (varied & 0xffff) + (varied >> 16);
  outer->checksum = net::Be16::from_wire(static_cast<uint16_t>(~net::fold(sum)));
  uint32_t source;
  std::memcpy(&source, real.encap_source.bytes.data() + 12, 4);
  outer->source = net::Be32::from_wire(source | varied);
  std::memcpy(&outer->destination, real.address.bytes.data() + 12, 4);
}

inline void put_ipv6(Packet& p, const Real& real, net::Protocol inside, uint8_t tos) {
  auto* outer = new (p.l3) net::Ipv6Header;
  // The flow label carries the flow hash, so that routers spread flows of one real (RFC 6438).
  const auto label = static_cast<uint32_t>(p.flow_hash) & 0xfffff;
  outer->version_class_flow = net::Be32{6U << 28 | static_cast<uint32_t>(tos) << 20 | label};
  outer->payload_length = net::Be16{static_cast<uint16_t>(p.l3_length - sizeof *outer)};
  outer->next_header = static_cast<uint8_t>(inside);
  uint64_t low;
  std::memcpy(&low, real.encap_source.bytes.data() + 8, 8);
  low |= source_bits(p, real);
  std::memcpy(outer->source.bytes.data(), real.encap_source.bytes.data(), 8);
  std::memcpy(outer->source.bytes.data() + 8, &low, 8);
  outer->destination = real.address;
}

// Whether the packet's own checksum covers all of it but the IP header; what it says is believed.
inline bool is_summed(const Packet& p) {
  if (p.kind != Kind::kFlow) return false;
  if (p.family == Family::kIpv4) {
    const auto* h = reinterpret_cast<const net::Ipv4Header*>(p.l3);
    if (h->header_length() != sizeof *h || h->is_fragment()) return false;
  } else if (p.l4_offset != sizeof(net::Ipv6Header)) {
    return false;
  }
  if (p.is(net::Protocol::kTcp)) return true;
  if (!p.is(net::Protocol::kUdp)) return false;
  const auto* udp = reinterpret_cast<const net::UdpHeader*>(p.l3 + p.l4_offset);
  return udp->checksum != net::Be16{0} && udp->length.host() == p.l3_length - p.l4_offset;
}

// One's complement sum of the packet, unfolded. A right checksum makes what it covers sum up to the complement of its
// pseudo header (RFC 9293, 3.1), whatever the payload; a wrong one stays as wrong outside. An IPv4 header is right, and
// sums up to nothing.
inline uint64_t sum_of_packet(const Packet& p) {
  if (!is_summed(p)) return net::sum_of(p.l3, p.l3_length);
  const bool v4 = p.family == Family::kIpv4;
  const uint64_t header = v4 ? 0 : net::sum_of(p.l3, sizeof(net::Ipv6Header));
  const uint64_t pseudo = (v4 ? net::sum_of(p.l3 + 12, 8) : net::sum_of(p.l3 + 8, 32)) + net::Be16{p.protocol}.wire() +
                          net::Be16{static_cast<uint16_t>(p.l3_length - p.l4_offset)}.wire();
  return header + static_cast<uint16_t>(~net::fold(pseudo));
}

// A port of the dynamic range (RFC 6335), by the flow hash.
inline net::Be16 source_port(const Packet& p) {
  return net::Be16{static_cast<uint16_t>(0xc000 | (p.flow_hash & 0x3fff))};
}

// UDP's header stands behind the outer IP header, whose addresses it covers over IPv6 (RFC 8200, 8.1).
inline void put_udp(const Packet& p, size_t ip, uint64_t sum_inside) {
  auto* udp = new (p.l3 + ip) net::UdpHeader;
  const net::Be16 length{static_cast<uint16_t>(p.l3_length - ip)};
  udp->source_port = source_port(p);
  udp->destination_port = net::Be16{net::kGuePort};
  udp->length = length;
  if (ip == sizeof(net::Ipv4Header)) return;  // none, as RFC 768 allows
  const uint64_t sum = sum_inside + net::sum_of(p.l3 + 8, 32) + net::sum_of(udp, 6) + length.wire() +
                       net::Be16{static_cast<uint8_t>(net::Protocol::kUdp)}.wire();
  const auto checksum = static_cast<uint16_t>(~net::fold(sum));
  udp->checksum = net::Be16::from_wire(checksum == 0 ? 0xffff : checksum);
}

}  // namespace encapsulation

inline void encapsulate(Packet& p, const Real& real) {
  using namespace encapsulation;
  if (!real.has_encap_source) return p.drop(net::DropReason::NO_ENCAP_SOURCE);
  const bool gue = p.mode == Mode::kDsrGue;
  const size_t ip = real.is_v4 ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header);
  const uint64_t sum_inside = gue && !real.is_v4 ? sum_of_packet(p) : 0;
  const uint8_t tos = tos_of(p);
  net::Protocol inside = p.family == Family::kIpv4 ? net::Protocol::kIpIp : net::Protocol::kIpv6;
  if (gue) inside = net::Protocol::kUdp;
  if (!prepend(p, gue ? ip + sizeof(net::UdpHeader) : ip)) return p.drop(net::DropReason::NO_HEADROOM);
  real.is_v4 ? put_ipv4(p, real, inside, tos) : put_ipv6(p, real, inside, tos);
  if (gue) put_udp(p, ip, sum_inside);
}

}  // namespace guideway::path
