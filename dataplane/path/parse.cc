#include "dataplane/path/parse.h"

#include <rte_prefetch.h>

#include <cstring>

#include "dataplane/path/extensions.h"
#include "dataplane/path/icmp.h"
#include "net/checksum.h"
#include "net/flow.h"
#include "net/neighbor.h"

namespace guideway::path {

namespace {

using net::DropReason;

// RFC 1122, 3.2.1.3: sources that no host may use.
bool is_impossible_source(net::Be32 a) {
  const uint32_t h = a.host();
  return h >= 0xe0000000 || h >> 24 == 127 || h >> 24 == 0;
}

// RFC 4291, 2.7 and 2.5: multicast, unspecified, loopback.
bool is_impossible_source(const net::IpAddress& a) {
  if (a.bytes[0] == 0xff) return true;
  for (int i = 0; i < 15; ++i)
    if (a.bytes[i] != 0) return false;
  return a.bytes[15] <= 1;
}

DropReason parse_l4(Packet& p, const uint8_t* l4, uint32_t length) {
  switch (static_cast<net::Protocol>(p.protocol)) {
    case net::Protocol::kTcp: {
      if (length < sizeof(net::TcpHeader)) return DropReason::TRUNCATED;
      const auto* h = reinterpret_cast<const net::TcpHeader*>(l4);
      if (h->header_length() < sizeof *h || h->header_length() > length) return DropReason::BAD_L4_HEADER;
      p.effect = tcp_effect(h->flags);
      return DropReason::NONE;
    }
    case net::Protocol::kUdp: {
      if (length < sizeof(net::UdpHeader)) return DropReason::TRUNCATED;
      const auto* h = reinterpret_cast<const net::UdpHeader*>(l4);
      const uint16_t said = h->length.host();
      if (said < sizeof *h || said > length) return DropReason::BAD_L4_HEADER;
      return DropReason::NONE;
    }
    case net::Protocol::kIcmp:
      return p.family == Family::kIpv4 ? parse_icmp(p, length) : DropReason::PROTOCOL_UNSUPPORTED;
    case net::Protocol::kIcmpv6:
      return p.family == Family::kIpv6 ? parse_icmp(p, length) : DropReason::PROTOCOL_UNSUPPORTED;
    default:
      return DropReason::PROTOCOL_UNSUPPORTED;
  }
}

DropReason parse_ipv4(Packet& p, uint8_t* l3, uint32_t length) {
  if (length < sizeof(net::Ipv4Header)) return DropReason::TRUNCATED;
  const auto* h = reinterpret_cast<const net::Ipv4Header*>(l3);
  const unsigned header = h->header_length();
  const unsigned total = h->total_length.host();
  if (h->version() != 4 || header < sizeof *h || total < header) return DropReason::BAD_IP_HEADER;
  if (total > length) return DropReason::TRUNCATED;
  if (net::ipv4_header_error(h, header) != 0) return DropReason::BAD_IP_CHECKSUM;
  if (is_impossible_source(h->source)) return DropReason::BAD_ADDRESS;
  if (h->is_fragment()) return DropReason::FRAGMENT;
  p.family = Family::kIpv4;
  p.l3_length = static_cast<uint16_t>(total);
  p.l4_offset = static_cast<uint16_t>(header);
  p.protocol = h->protocol;
  if (const DropReason r = parse_l4(p, l3 + header, total - header); r != DropReason::NONE) return r;
  if (p.kind == Kind::kIcmpError) return DropReason::NONE;  // it has another's key
  std::memcpy(&p.key4.source, &h->source, 8);
  std::memcpy(&p.key4.source_port, l3 + header, 4);
  p.key4.protocol = p.protocol;
  p.key4.zero = {};
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
  if (is_impossible_source(h->source)) return DropReason::BAD_ADDRESS;
  const auto total = static_cast<uint32_t>(payload + sizeof *h);
  Ipv6Chain chain{.protocol = h->next_header, .offset = sizeof *h};
  if (is_extension(h->next_header)) [[unlikely]]
    if (const DropReason r = walk_extensions(l3, total, &chain); r != DropReason::NONE) return r;
  if (chain.fragment != 0) return DropReason::FRAGMENT;
  p.family = Family::kIpv6;
  p.l3_length = static_cast<uint16_t>(total);
  p.l4_offset = static_cast<uint16_t>(chain.offset);
  p.protocol = chain.protocol;
  if (const DropReason r = parse_l4(p, l3 + chain.offset, total - chain.offset); r != DropReason::NONE) return r;
  if (p.kind == Kind::kIcmpError) return DropReason::NONE;
  std::memcpy(&p.key6.source, &h->source, 32);
  std::memcpy(&p.key6.source_port, l3 + chain.offset, 4);
  p.key6.protocol = p.protocol;
  p.key6.zero = {};
  return DropReason::NONE;
}

DropReason parse_arp(Packet& p, uint32_t length) {
  p.kind = Kind::kNeighbor;
  p.family = Family::kIpv4;
  p.l3_length = static_cast<uint16_t>(length);
  return DropReason::NONE;
}

}  // namespace

void parse(Packet& p, uint8_t* frame, uint32_t length) {
  if (length < sizeof(net::EthernetHeader)) return p.drop(DropReason::TRUNCATED);
  const auto* ethernet = reinterpret_cast<const net::EthernetHeader*>(frame);
  p.l3 = frame + sizeof *ethernet;
  const uint32_t rest = length - static_cast<uint32_t>(sizeof *ethernet);
  DropReason r = DropReason::NOT_IP;
  if (ethernet->type == net::Be16{static_cast<uint16_t>(net::EtherType::kIpv4)}) r = parse_ipv4(p, p.l3, rest);
  if (ethernet->type == net::Be16{static_cast<uint16_t>(net::EtherType::kIpv6)}) r = parse_ipv6(p, p.l3, rest);
  if (ethernet->type == net::Be16{static_cast<uint16_t>(net::EtherType::kArp)}) r = parse_arp(p, rest);
  if (r != DropReason::NONE) p.drop(r);
}

void parse(Burst& burst, const HashSeeds& seeds) {
  for (Packet& p : burst.all()) rte_prefetch0(rte_pktmbuf_mtod(p.mbuf, void*));
  uint32_t kinds = 0;
  for (Packet& p : burst.all()) {
    p.fate = Fate::kForward;
    p.kind = Kind::kFlow;
    p.effect = 0;
    p.decided = p.learn = p.answer = false;
    p.direction = Direction::kForward;
    p.slot = {};
    p.service = kNone<ServiceIndex>;
    p.real = kNone<RealIndex>;
    parse(p, rte_pktmbuf_mtod(p.mbuf, uint8_t*), rte_pktmbuf_data_len(p.mbuf));
    if (!p.live()) continue;
    kinds |= 1U << static_cast<unsigned>(p.kind);
    const bool v4 = p.family == Family::kIpv4;
    p.flow_hash = v4 ? net::flow_hash(p.key4, seeds.flow) : net::flow_hash(p.key6, seeds.flow);
    p.table_hash = v4 ? net::flow_hash(p.key4, seeds.table) : net::flow_hash(p.key6, seeds.table);
  }
  burst.kinds = static_cast<uint8_t>(kinds);
}

}  // namespace guideway::path
