#include "dataplane/path/parse.h"

#include <rte_prefetch.h>

#include <cstring>

#include "dataplane/path/extensions.h"
#include "dataplane/path/icmp.h"
#include "dataplane/path/sctp.h"
#include "net/checksum.h"
#include "net/flow.h"
#include "net/neighbor.h"

namespace guideway::path {

namespace {

using net::DropReason;

// RFC 1122, 3.2.1.3: sources that no host may use.
bool is_impossible_source(net::Be32 a) {
  const auto first = static_cast<uint8_t>(a.wire());
  return first == 0 || first == 127 || first >= 224;
}

// RFC 4291, 2.7 and 2.5: multicast, unspecified, loopback; IPv4-mapped.
bool is_impossible_source(const net::IpAddress& a) {
  const auto words = a.words();
  return a.bytes[0] == 0xff || (words[0] == 0 && (words[1] & ~net::Be64{1}.wire()) == 0) || a.is_v4();
}

// Of a datagram's first fragment the header must be there.
DropReason parse_tcp(Packet& p, const uint8_t* l4, uint32_t length) {
  if (length < sizeof(net::TcpHeader)) return DropReason::TRUNCATED;
  const auto* h = reinterpret_cast<const net::TcpHeader*>(l4);
  if (h->header_length() < sizeof *h) return DropReason::BAD_L4_HEADER;
  if (h->header_length() > length) return p.kind == Kind::kFlow ? DropReason::BAD_L4_HEADER : DropReason::TRUNCATED;
  p.effect = tcp_effect(h->flags);
  return DropReason::NONE;
}

DropReason parse_udp(const Packet& p, const uint8_t* l4, uint32_t length) {
  if (length < sizeof(net::UdpHeader)) return DropReason::TRUNCATED;
  const auto* h = reinterpret_cast<const net::UdpHeader*>(l4);
  const uint16_t said = h->length.host();
  if (said < sizeof *h || (p.kind == Kind::kFlow && said > length)) return DropReason::BAD_L4_HEADER;
  return DropReason::NONE;
}

DropReason parse_sctp(Packet& p, const uint8_t* l4, uint32_t length) {
  if (length < sizeof(net::SctpHeader) + sizeof(net::SctpChunk)) return DropReason::TRUNCATED;
  p.effect = sctp_effect(l4 + sizeof(net::SctpHeader), length - static_cast<uint32_t>(sizeof(net::SctpHeader)));
  return DropReason::NONE;
}

// TCP comes first, and stands in line.
inline DropReason parse_l4(Packet& p, const uint8_t* l4, uint32_t length) {
  using net::Protocol;
  if (p.is(Protocol::kTcp)) return parse_tcp(p, l4, length);
  if (p.is(Protocol::kUdp)) return parse_udp(p, l4, length);
  if (p.is(Protocol::kSctp)) return parse_sctp(p, l4, length);
  if (p.is(p.family == Family::kIpv4 ? Protocol::kIcmp : Protocol::kIcmpv6)) return parse_icmp(p, length);
  return DropReason::PROTOCOL_UNSUPPORTED;
}

// Until its ports are known, a fragment's key is its datagram's: the id (RFC 791, RFC 8200) stands for the ports.
template <typename Key>
DropReason parse_fragment(Packet& p, Key& key, net::Be32 id, bool first, const uint8_t* l4, uint32_t length) {
  std::memcpy(static_cast<void*>(&key.source_port), &id, sizeof id);
  p.kind = first ? Kind::kFirstFragment : Kind::kFragment;
  if (!first) return DropReason::NONE;
  return has_ports(p.protocol) ? parse_l4(p, l4, length) : DropReason::FRAGMENT;
}

DropReason parse_ipv4(Packet& p, uint8_t* l3, uint32_t length) {
  if (length < sizeof(net::Ipv4Header)) return DropReason::TRUNCATED;
  const auto* h = reinterpret_cast<const net::Ipv4Header*>(l3);
  if (h->version_ihl < 0x45 || h->version_ihl > 0x4f) return DropReason::BAD_IP_HEADER;  // version 4, 5 to 15 words
  const unsigned header = h->header_length();
  const unsigned total = h->total_length.host();
  if (total < header) return DropReason::BAD_IP_HEADER;
  if (total > length) return DropReason::TRUNCATED;
  if (net::ipv4_header_error(h, header) != 0) return DropReason::BAD_IP_CHECKSUM;
  if (is_impossible_source(h->source)) return DropReason::BAD_ADDRESS;
  p.family = Family::kIpv4;
  p.l3_length = static_cast<uint16_t>(total);
  p.l4_offset = static_cast<uint16_t>(header);
  p.protocol = h->protocol;
  if (h->is_fragment()) [[unlikely]] {
    if (!has_ports(p.protocol)) return DropReason::FRAGMENT;
    std::memcpy(&p.key4.source, &h->source, 8);
    p.key4.protocol = p.protocol;
    return parse_fragment(p, p.key4, net::Be32{h->id.host()}, h->is_first(), l3 + header, total - header);
  }
  if (const DropReason r = parse_l4(p, l3 + header, total - header); r != DropReason::NONE) return r;
  if (p.kind == Kind::kIcmpError) return DropReason::NONE;  // it has another's key
  std::memcpy(&p.key4.source, &h->source, 8);
  std::memcpy(&p.key4.source_port, l3 + header, 4);
  p.key4.protocol = p.protocol;
  return DropReason::NONE;
}

// Who asks for duplicates has no address yet, so this comes before sources are judged.
bool is_solicitation(const net::Ipv6Header* h, uint32_t payload) {
  return h->next_header == static_cast<uint8_t>(net::Protocol::kIcmpv6) && payload > 0 &&
         *reinterpret_cast<const uint8_t*>(h + 1) == net::kNeighborSolicitation;
}

DropReason parse_ipv6(Packet& p, uint8_t* l3, uint32_t length) {
  if (length < sizeof(net::Ipv6Header)) return DropReason::TRUNCATED;
  const auto* h = reinterpret_cast<const net::Ipv6Header*>(l3);
  const unsigned payload = h->payload_length.host();
  if (h->version() != 6) return DropReason::BAD_IP_HEADER;
  if (payload + sizeof *h > length) return DropReason::TRUNCATED;
  if (is_solicitation(h, payload)) [[unlikely]] {
    p.kind = Kind::kNeighbor;
    p.family = Family::kIpv6;
    p.l3_length = static_cast<uint16_t>(payload + sizeof *h);
    return DropReason::NONE;
  }
  if (is_impossible_source(h->source) || h->destination.is_v4()) return DropReason::BAD_ADDRESS;
  const auto total = static_cast<uint32_t>(payload + sizeof *h);
  Ipv6Chain chain{.protocol = h->next_header, .offset = sizeof *h};
  if (is_extension(h->next_header)) [[unlikely]]
    if (const DropReason r = walk_extensions(l3, total, &chain); r != DropReason::NONE) return r;
  p.family = Family::kIpv6;
  p.l3_length = static_cast<uint16_t>(total);
  p.l4_offset = static_cast<uint16_t>(chain.offset);
  p.protocol = chain.protocol;
  if (chain.fragment != 0) [[unlikely]] {
    const auto* f = reinterpret_cast<const net::Ipv6Fragment*>(l3 + chain.fragment);
    std::memcpy(&p.key6.source, &h->source, 32);
    p.key6.protocol = static_cast<uint8_t>(net::Protocol::kFragment);  // a later one can't tell layer 4's
    return parse_fragment(p, p.key6, f->id, f->is_first(), l3 + chain.offset, total - chain.offset);
  }
  if (const DropReason r = parse_l4(p, l3 + chain.offset, total - chain.offset); r != DropReason::NONE) return r;
  if (p.kind == Kind::kIcmpError) return DropReason::NONE;
  std::memcpy(&p.key6.source, &h->source, 32);
  std::memcpy(&p.key6.source_port, l3 + chain.offset, 4);
  p.key6.protocol = p.protocol;
  return DropReason::NONE;
}

DropReason parse_arp(Packet& p, uint32_t length) {
  p.kind = Kind::kNeighbor;
  p.family = Family::kIpv4;
  p.l3_length = static_cast<uint16_t>(length);
  return DropReason::NONE;
}

constexpr unsigned kMaxTags = 2;  // 802.1ad's around 802.1Q's, or either alone

constexpr net::Be16 of(net::EtherType type) { return net::Be16{static_cast<uint16_t>(type)}; }
bool is_tag(net::Be16 type) { return type == of(net::EtherType::kVlan) || type == of(net::EtherType::kServiceVlan); }

}  // namespace

void parse(Packet& p, uint8_t* frame, uint32_t length) {
  uint32_t at = sizeof(net::EthernetHeader);
  if (length < at) return p.drop(DropReason::TRUNCATED);
  net::Be16 type = reinterpret_cast<const net::EthernetHeader*>(frame)->type;
  // What mostly comes is asked for first.
  for (unsigned tags = 0; type != of(net::EtherType::kIpv4) && is_tag(type) && tags < kMaxTags; ++tags) {
    if (length - at < sizeof(net::VlanTag)) return p.drop(DropReason::TRUNCATED);
    type = reinterpret_cast<const net::VlanTag*>(frame + at)->type;
    at += static_cast<uint32_t>(sizeof(net::VlanTag));
  }
  p.l3 = frame + at;
  DropReason r = DropReason::NOT_IP;
  if (type == of(net::EtherType::kIpv4))
    r = parse_ipv4(p, p.l3, length - at);
  else if (type == of(net::EtherType::kIpv6))
    r = parse_ipv6(p, p.l3, length - at);
  else if (type == of(net::EtherType::kArp))
    r = parse_arp(p, length - at);
  if (r != DropReason::NONE) [[unlikely]]
    p.drop(r);
}

// All that a packet needs in one loop without calls: a third of them would be for saving registers.
[[gnu::flatten]] void parse(Burst& burst) {
  for (Packet& p : burst.all()) rte_prefetch0(rte_pktmbuf_mtod(p.mbuf, void*));
  uint32_t kinds = 0;
  for (Packet& p : burst.all()) {
    p.begin();
    parse(p, rte_pktmbuf_mtod(p.mbuf, uint8_t*), rte_pktmbuf_data_len(p.mbuf));
    if (p.kind != Kind::kFlow && p.live()) [[unlikely]]
      kinds |= 1U << static_cast<unsigned>(p.kind);
  }
  burst.kinds = static_cast<uint8_t>(kinds);
}

}  // namespace guideway::path
