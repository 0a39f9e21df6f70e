#include "dataplane/path/icmp.h"

#include <algorithm>
#include <cstring>

#include "dataplane/path/extensions.h"
#include "net/checksum.h"

namespace guideway::path {

namespace {

using net::DropReason;

bool is_error(Family family, uint8_t type) {
  if (family == Family::kIpv4)
    return type == net::kIcmp4Unreachable || type == net::kIcmp4TimeExceeded || type == net::kIcmp4ParameterProblem;
  return type >= net::kIcmp6Unreachable && type <= net::kIcmp6ParameterProblem;
}

bool is_echo(const Packet& p, uint8_t type) {
  return type == (p.family == Family::kIpv4 ? uint8_t{net::kIcmp4Echo} : uint8_t{net::kIcmp6Echo});
}

// Layer 4 of a quoted packet: its offset, and protocol.
struct Quoted {
  uint8_t protocol = 0;
  uint32_t l4 = 0;
};

DropReason read_quoted(const net::Ipv4Header* h, uint32_t length, Quoted* q) {
  if (length < sizeof *h) return DropReason::TRUNCATED;
  if (h->version() != 4 || h->header_length() < sizeof *h) return DropReason::BAD_ICMP;
  if (!h->is_first()) return DropReason::FRAGMENT;
  *q = {h->protocol, h->header_length()};
  return DropReason::NONE;
}

DropReason read_quoted(const net::Ipv6Header* h, uint32_t length, Quoted* q) {
  if (length < sizeof *h) return DropReason::TRUNCATED;
  if (h->version() != 6) return DropReason::BAD_ICMP;
  Ipv6Chain chain;
  const auto* l3 = reinterpret_cast<const uint8_t*>(h);
  if (const DropReason r = walk_extensions(l3, length, &chain); r != DropReason::NONE) return r;
  if (chain.fragment != 0 && !reinterpret_cast<const net::Ipv6Fragment*>(l3 + chain.fragment)->is_first())
    return DropReason::FRAGMENT;
  *q = {chain.protocol, chain.offset};
  return DropReason::NONE;
}

template <typename Header, typename Key>
DropReason parse_error(Packet& p, const uint8_t* inner, uint32_t length, Key& key) {
  const auto* outer = reinterpret_cast<const Header*>(p.l3);
  const auto* quoted = reinterpret_cast<const Header*>(inner);
  Quoted q;
  if (const DropReason r = read_quoted(quoted, length, &q); r != DropReason::NONE) return r;
  if (!has_ports(q.protocol)) return DropReason::ICMP_UNSUPPORTED;
  if (length < q.l4 + sizeof key.source_port + sizeof key.destination_port) return DropReason::TRUNCATED;
  // Who hasn't sent the quoted packet has no business with its errors.
  if (quoted->source != outer->destination) return DropReason::BAD_ICMP;
  key.source = quoted->destination;
  key.destination = quoted->source;
  std::memcpy(&key.source_port, inner + q.l4 + 2, 2);
  std::memcpy(&key.destination_port, inner + q.l4, 2);
  key.protocol = p.protocol = q.protocol;
  p.kind = Kind::kIcmpError;
  return DropReason::NONE;
}

// A wrong checksum stays as wrong.
void adjust_l4(uint8_t* l4, uint32_t length, uint8_t protocol, uint16_t delta) {
  const bool udp = protocol == static_cast<uint8_t>(net::Protocol::kUdp);
  const size_t at = udp ? offsetof(net::UdpHeader, checksum) : offsetof(net::TcpHeader, checksum);
  net::Be16 sum;
  // SCTP's covers no addresses, and can't be told from a part of its packet.
  if (protocol == static_cast<uint8_t>(net::Protocol::kSctp) || length < at + sizeof sum) return;
  std::memcpy(&sum, l4 + at, sizeof sum);
  sum = udp ? net::adjust_udp(sum, delta) : net::adjust(sum, delta);
  std::memcpy(l4 + at, &sum, sizeof sum);
}

void adjust_l3(net::Ipv4Header* h, uint16_t delta) { h->checksum = net::adjust(h->checksum, delta); }
void adjust_l3(net::Ipv6Header*, uint16_t) {}

// What the ICMP checksum covers of the outer header: in IPv6 its addresses.
uint64_t pseudo_sum(const net::Ipv4Header*) { return 0; }
uint64_t pseudo_sum(const net::Ipv6Header* h) { return net::address_sum(h); }

template <typename Header, typename Address>
void translate_error_of(const Packet& p, const Translation<Address>& to) {
  auto* outer = reinterpret_cast<Header*>(p.l3);
  auto* icmp = reinterpret_cast<net::IcmpHeader*>(p.l3 + p.l4_offset);
  uint8_t* inner = p.l3 + p.l4_offset + sizeof *icmp;
  const auto length = static_cast<uint32_t>(p.l3_length - p.l4_offset - sizeof *icmp);
  auto* quoted = reinterpret_cast<Header*>(inner);
  Quoted q;
  if (read_quoted(quoted, length, &q) != DropReason::NONE) return;  // parse has seen that it is right
  uint8_t* l4 = inner + q.l4;
  // Whole words, up to the last byte that may change.
  const size_t covered = std::min<size_t>(length & ~1U, q.l4 + sizeof(net::TcpHeader));

  const uint64_t before = net::sum_of(inner, covered) + pseudo_sum(outer);
  const uint64_t ends = net::address_sum(outer);
  outer->source = to.source;
  outer->destination = to.destination;
  adjust_l3(outer, net::checksum_delta(ends, net::address_sum(outer)));
  quoted->source = to.destination;
  quoted->destination = to.source;
  adjust_l3(quoted, to.l3_delta);  // the sum over both addresses is the same in either order
  std::memcpy(l4, &to.destination_port, 2);
  std::memcpy(l4 + 2, &to.source_port, 2);
  adjust_l4(l4, length - q.l4, p.protocol, to.l4_delta);
  const uint64_t after = net::sum_of(inner, covered) + pseudo_sum(outer);
  icmp->checksum = net::adjust(icmp->checksum, net::checksum_delta(before, after));
}

}  // namespace

DropReason parse_icmp(Packet& p, uint32_t length) {
  if (length < sizeof(net::IcmpHeader)) return DropReason::TRUNCATED;
  const auto* icmp = reinterpret_cast<const net::IcmpHeader*>(p.l3 + p.l4_offset);
  const auto* inner = reinterpret_cast<const uint8_t*>(icmp + 1);
  const auto rest = static_cast<uint32_t>(length - sizeof *icmp);
  if (is_error(p.family, icmp->type))
    return p.family == Family::kIpv4 ? parse_error<net::Ipv4Header>(p, inner, rest, p.key4)
                                     : parse_error<net::Ipv6Header>(p, inner, rest, p.key6);
  if (!is_echo(p, icmp->type) || icmp->code != 0) return DropReason::ICMP_UNSUPPORTED;
  p.kind = Kind::kIcmpEcho;
  return DropReason::NONE;
}

void translate_error(const Packet& p, const Translation<net::Be32>& to) { translate_error_of<net::Ipv4Header>(p, to); }
void translate_error(const Packet& p, const Translation<net::IpAddress>& to) {
  translate_error_of<net::Ipv6Header>(p, to);
}

}  // namespace guideway::path
