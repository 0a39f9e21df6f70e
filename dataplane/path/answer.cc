#include "dataplane/path/answer.h"

#include <utility>

#include "net/checksum.h"

namespace guideway::path {

namespace {

using net::DropReason;

constexpr uint8_t kTtl = 64;

// The ICMP message's sum, with RFC 8200's pseudo header: folded and inverted it is 0 if the checksum is right.
uint64_t message_sum(const Packet& p, const net::IcmpHeader* icmp) {
  const auto length = static_cast<uint32_t>(p.l3_length - p.l4_offset);
  const uint64_t sum = net::sum_of(icmp, length);
  if (p.family == Family::kIpv4) return sum;
  return sum + net::pseudo_sum(reinterpret_cast<const net::Ipv6Header*>(p.l3), net::Protocol::kIcmpv6, length);
}

void turn(net::Ipv4Header* h) {
  std::swap(h->source, h->destination);
  h->ttl = kTtl;
  h->checksum = {};
  h->checksum = net::Be16::from_wire(net::ipv4_header_error(h, h->header_length()));
}

void turn(net::Ipv6Header* h) {
  std::swap(h->source, h->destination);
  h->hop_limit = kTtl;
}

bool to_vip(const Packet& p, const Tables& t) {
  const net::IpAddress to = p.family == Family::kIpv4 ? net::IpAddress::v4(p.key4.destination) : p.key6.destination;
  return (t.addresses->flags(to) & kAddressVip) != 0;
}

// Here the gateway is the host, so the checksum is its to judge.
void answer_echo(Packet& p, const Tables& t) {
  if (!to_vip(p, t)) return p.drop(DropReason::ICMP_UNSUPPORTED);
  auto* icmp = reinterpret_cast<net::IcmpHeader*>(p.l3 + p.l4_offset);
  if (static_cast<uint16_t>(~net::fold(message_sum(p, icmp))) != 0) return p.drop(DropReason::BAD_ICMP);
  const net::Be16 before{static_cast<uint16_t>(icmp->type << 8)};
  const bool v4 = p.family == Family::kIpv4;
  icmp->type = v4 ? uint8_t{net::kIcmp4EchoReply} : uint8_t{net::kIcmp6EchoReply};
  const net::Be16 after{static_cast<uint16_t>(icmp->type << 8)};
  icmp->checksum = net::adjust(icmp->checksum, net::checksum_delta(before.wire(), after.wire()));
  v4 ? turn(reinterpret_cast<net::Ipv4Header*>(p.l3)) : turn(reinterpret_cast<net::Ipv6Header*>(p.l3));
  p.answer = p.decided = true;
}

}  // namespace

void answer(Burst& burst, const Tables& t) {
  if (!burst.has(Kind::kIcmpEcho)) return;
  for (Packet& p : burst.all())
    if (p.live() && p.kind == Kind::kIcmpEcho) answer_echo(p, t);
}

}  // namespace guideway::path
