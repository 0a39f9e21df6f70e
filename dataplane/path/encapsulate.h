// Outer headers: IP in IP, or IP in UDP (GUE, variant 1: the bare packet), each in IPv4 or IPv6. In a header, for it is
// apply()'s inner loop.
//
// Written where they belong, an IPv4 header in whole words: built aside from small stores and then copied, they would
// stall the copy's large loads.
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
  if (p.answer || !encapsulates(p.mode)) return 0;
  const uint32_t ip = t.reals[p.real].is_v4 ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header);
  return p.mode == Mode::kDsrGue ? ip + static_cast<uint32_t>(sizeof(net::UdpHeader)) : ip;
}

// Moves l3 back over what is put before it and gives it, if the buffer has room for that and an Ethernet header.
inline uint8_t* prepend(Packet& p, size_t bytes) {
  const auto room = static_cast<size_t>(p.l3 - static_cast<uint8_t*>(p.mbuf->buf_addr));
  if (room < bytes + sizeof(net::EthernetHeader)) [[unlikely]]
    return nullptr;
  p.l3_length = static_cast<uint16_t>(p.l3_length + bytes);
  return p.l3 -= bytes;
}

namespace encapsulation {

inline uint8_t tos_of(const Packet& p) {
  if (p.family == Family::kIpv4) return reinterpret_cast<const net::Ipv4Header*>(p.l3)->tos;
  return reinterpret_cast<const net::Ipv6Header*>(p.l3)->traffic_class();
}

// What of an outer IP header the packet decides.
struct Outer {
  net::Protocol inside;
  uint8_t tos;
  uint64_t source_bits;  // of the source's last 8 bytes, as they stand
};

// The whole header in three stores, and its checksum from the same words.
inline void write(net::Ipv4Header* h, const Packet& p, const Real& real, const Outer& o) {
  uint32_t source;
  uint32_t destination;
  std::memcpy(&source, real.encap_source.bytes.data() + 12, 4);
  std::memcpy(&destination, real.address.bytes.data() + 12, 4);
  source |= static_cast<uint32_t>(o.source_bits >> 32);
  const uint64_t first = 0x45 | uint64_t{o.tos} << 8 | uint64_t{net::Be16{p.l3_length}.wire()} << 16 |
                         uint64_t{net::Be16{net::kIpv4DontFragment}.wire()} << 48;
  const uint32_t ttl = net::Ipv4Header{}.ttl | static_cast<uint32_t>(o.inside) << 8;
  const auto checksum = static_cast<uint16_t>(~net::fold(first + ttl + source + destination));
  const uint64_t second = ttl | uint64_t{checksum} << 16 | uint64_t{source} << 32;
  auto* const bytes = reinterpret_cast<uint8_t*>(h);
  std::memcpy(bytes, &first, 8);
  std::memcpy(bytes + 8, &second, 8);
  std::memcpy(bytes + 16, &destination, 4);
}

inline void write(net::Ipv6Header* h, const Packet& p, const Real& real, const Outer& o) {
  auto* outer = new (h) net::Ipv6Header;
  // The flow label carries the flow hash, so that routers spread flows of one real (RFC 6438).
  const auto label = static_cast<uint32_t>(p.flow_hash) & 0xfffff;
  outer->version_class_flow = net::Be32{6U << 28 | static_cast<uint32_t>(o.tos) << 20 | label};
  outer->payload_length = net::Be16{static_cast<uint16_t>(p.l3_length - sizeof *outer)};
  outer->next_header = static_cast<uint8_t>(o.inside);
  uint64_t low;
  std::memcpy(&low, real.encap_source.bytes.data() + 8, 8);
  low |= o.source_bits;
  std::memcpy(outer->source.bytes.data(), real.encap_source.bytes.data(), 8);
  std::memcpy(outer->source.bytes.data() + 8, &low, 8);
  outer->destination = real.address;
}

// With `more` bytes between it and the packet.
template <typename Header>
void put(Packet& p, const Real& real, const Outer& o, size_t more) {
  uint8_t* at = prepend(p, sizeof(Header) + more);
  if (at == nullptr) return p.drop(net::DropReason::NO_HEADROOM);
  write(reinterpret_cast<Header*>(at), p, real, o);
}

inline void put_ip(Packet& p, const Real& real, const Outer& o, size_t more) {
  real.is_v4 ? put<net::Ipv4Header>(p, real, o, more) : put<net::Ipv6Header>(p, real, o, more);
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
// sums up to nothing; an IPv6 header's addresses and those of the pseudo header do.
inline uint64_t sum_of_packet(const Packet& p) {
  if (!is_summed(p)) return net::sum_of(p.l3, p.l3_length);
  const bool v4 = p.family == Family::kIpv4;
  const uint64_t header = v4 ? 0 : net::sum_of(p.l3, offsetof(net::Ipv6Header, source));
  const uint64_t pseudo = (v4 ? net::sum_of(p.l3 + offsetof(net::Ipv4Header, source), 8) : 0) +
                          net::Be16{p.protocol}.wire() +
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

inline void put_ipip(Packet& p, const Real& real) {
  using namespace encapsulation;
  if (!real.has_encap_source) return p.drop(net::DropReason::NO_ENCAP_SOURCE);
  // Below its prefix the source carries the flow hash, so that the receiver's RSS spreads the flows.
  const Outer outer{p.family == Family::kIpv4 ? net::Protocol::kIpIp : net::Protocol::kIpv6, tos_of(p),
                    std::rotl(p.flow_hash, 32) & real.source_mask};
  put_ip(p, real, outer, 0);
}

inline void put_gue(Packet& p, const Real& real) {
  using namespace encapsulation;
  if (!real.has_encap_source) return p.drop(net::DropReason::NO_ENCAP_SOURCE);
  const uint64_t sum_inside = real.is_v4 ? 0 : sum_of_packet(p);
  put_ip(p, real, {net::Protocol::kUdp, tos_of(p), 0}, sizeof(net::UdpHeader));
  if (p.live()) put_udp(p, real.is_v4 ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header), sum_inside);
}

}  // namespace guideway::path
