#include "dataplane/path/too_big.h"

#include <algorithm>
#include <new>

#include "dataplane/path/encapsulate.h"
#include "net/checksum.h"

namespace guideway::path {

namespace {

// What an error may have in all, its own headers included: RFC 1812, 4.3.2.3 and RFC 4443, 2.4 (c).
constexpr uint32_t kMaxError4 = 576;
constexpr uint32_t kMaxError6 = 1'280;
// The least that a link takes, and so the least worth telling: RFC 791 and RFC 8200, 5.
constexpr uint32_t kMinMtu4 = 68;
constexpr uint32_t kMinMtu6 = 1'280;

uint32_t worth_telling(const Packet& p, uint32_t mtu) {
  return std::max(mtu, p.family == Family::kIpv4 ? kMinMtu4 : kMinMtu6);
}

net::IcmpHeader* put_icmp(Packet& p, size_t ip, uint8_t type, uint8_t code, uint32_t mtu) {
  auto* icmp = new (p.l3 + ip) net::IcmpHeader;
  icmp->type = type;
  icmp->code = code;
  icmp->rest = net::Be32{mtu};
  return icmp;
}

// `sum` is of what the checksum covers besides.
void seal(net::IcmpHeader* icmp, size_t length, uint64_t sum) {
  icmp->checksum = net::Be16::from_wire(static_cast<uint16_t>(~net::fold(sum + net::sum_of(icmp, length))));
}

bool become_fragmentation_needed(Packet& p, uint32_t mtu) {
  constexpr size_t kAround = sizeof(net::Ipv4Header) + sizeof(net::IcmpHeader);
  const net::Ipv4Header about = *reinterpret_cast<const net::Ipv4Header*>(p.l3);
  if (!prepend(p, kAround)) return false;
  p.l3_length = static_cast<uint16_t>(std::min<uint32_t>(p.l3_length, kMaxError4));
  constexpr uint8_t kFragmentationNeeded = 4;
  seal(put_icmp(p, sizeof about, net::kIcmp4Unreachable, kFragmentationNeeded, mtu), p.l3_length - sizeof about, 0);
  auto* h = new (p.l3) net::Ipv4Header;
  constexpr uint8_t kInternetworkControl = 0xc0;  // RFC 1812, 4.3.2.5
  h->tos = kInternetworkControl;
  h->total_length = net::Be16{p.l3_length};
  h->fragment = net::Be16{net::kIpv4DontFragment};
  h->protocol = static_cast<uint8_t>(net::Protocol::kIcmp);
  h->source = about.destination;
  h->destination = about.source;
  h->checksum = net::Be16::from_wire(net::ipv4_header_error(h, sizeof *h));
  return true;
}

bool become_packet_too_big(Packet& p, uint32_t mtu) {
  constexpr size_t kAround = sizeof(net::Ipv6Header) + sizeof(net::IcmpHeader);
  const net::Ipv6Header about = *reinterpret_cast<const net::Ipv6Header*>(p.l3);
  if (!prepend(p, kAround)) return false;
  p.l3_length = static_cast<uint16_t>(std::min<uint32_t>(p.l3_length, kMaxError6));
  const net::Be16 length{static_cast<uint16_t>(p.l3_length - sizeof about)};
  auto* h = new (p.l3) net::Ipv6Header;
  h->payload_length = length;
  h->next_header = static_cast<uint8_t>(net::Protocol::kIcmpv6);
  h->source = about.destination;
  h->destination = about.source;
  seal(put_icmp(p, sizeof *h, net::kIcmp6PacketTooBig, 0, mtu), length.host(),
       net::pseudo_sum(h, net::Protocol::kIcmpv6, length.host()));
  return true;
}

}  // namespace

// RFC 1122, 3.2.2 and RFC 4443, 2.4 (e).
bool is_told_too_big(const Packet& p, uint32_t mtu) {
  if (p.answer || p.kind == Kind::kIcmpError || p.l3_length <= worth_telling(p, mtu)) return false;
  if (p.family == Family::kIpv6) return true;
  return reinterpret_cast<const net::Ipv4Header*>(p.l3)->is_first();
}

bool become_too_big(Packet& p, uint32_t mtu) {
  const uint32_t told = worth_telling(p, mtu);
  p.answer = p.family == Family::kIpv4 ? become_fragmentation_needed(p, told) : become_packet_too_big(p, told);
  return p.answer;
}

}  // namespace guideway::path
