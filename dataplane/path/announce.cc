#include "dataplane/path/announce.h"

#include <cstring>

#include "dataplane/path/poison.h"
#include "net/neighbor.h"

namespace guideway::path {

namespace {

using net::DropReason;

bool is_announced(const Tables& t, const net::IpAddress& address) {
  return (t.addresses->flags(address) & kAddressAnnounced) != 0;
}

// The frame back to whom it came from, with its tags.
void turn_round(const Packet& p, const net::MacAddress& from, uint16_t l3_length) {
  auto* frame = rte_pktmbuf_mtod(p.mbuf, uint8_t*);
  std::memcpy(frame, frame + sizeof from, sizeof from);
  std::memcpy(frame + sizeof from, &from, sizeof from);
  p.mbuf->data_len = static_cast<uint16_t>(p.l3 - frame + l3_length);
  p.mbuf->pkt_len = p.mbuf->data_len;
}

DropReason answer_request(const Packet& p, const Tables& t, const net::MacAddress& mac) {
  if (p.l3_length < sizeof(net::ArpMessage)) return DropReason::TRUNCATED;
  auto* arp = reinterpret_cast<net::ArpMessage*>(p.l3);
  if (!arp->is_request()) return DropReason::BAD_QUESTION;
  if (!is_announced(t, net::IpAddress::v4(arp->target))) return DropReason::NOT_ANNOUNCED;
  const net::Be32 target = arp->target;
  arp->operation = net::Be16{net::kArpReply};
  arp->target_mac = arp->sender_mac;
  arp->target = arp->sender;
  arp->sender_mac = mac;
  arp->sender = target;
  turn_round(p, mac, p.l3_length);  // padding stays
  return DropReason::NONE;
}

// RFC 4861, 7.1.1.
bool is_valid(const net::Ipv6Header& ip, const net::NeighborMessage& m, uint32_t length) {
  return ip.hop_limit == 255 && m.code == 0 && net::icmpv6_error(ip, &m, length) == 0;
}

DropReason answer_solicitation(const Packet& p, const Tables& t, const net::MacAddress& mac) {
  const auto* ip = reinterpret_cast<const net::Ipv6Header*>(p.l3);
  const uint32_t length = p.l3_length - static_cast<uint32_t>(sizeof *ip);
  if (length < sizeof(net::NeighborMessage)) return DropReason::TRUNCATED;
  const auto* m = reinterpret_cast<const net::NeighborMessage*>(ip + 1);
  if (!is_valid(*ip, *m, length)) return DropReason::BAD_QUESTION;
  if (!is_announced(t, m->target)) return DropReason::NOT_ANNOUNCED;
  // One who has no address yet hears of it as everybody does.
  const bool solicited = !ip->source.is_zero();
  const net::Advertisement answer(m->target, mac, solicited ? ip->source : net::kAllNodes, solicited);
  const uint8_t* room = static_cast<uint8_t*>(p.mbuf->buf_addr) + p.mbuf->buf_len;
  if (p.l3 + sizeof answer > room) return DropReason::NO_HEADROOM;
  make_whole(p.mbuf);
  std::memcpy(p.l3, &answer, sizeof answer);
  turn_round(p, mac, sizeof answer);
  if (!solicited) std::memcpy(rte_pktmbuf_mtod(p.mbuf, uint8_t*), &net::kAllNodesMac, sizeof net::kAllNodesMac);
  return DropReason::NONE;
}

}  // namespace

void announce(Burst& burst, const Tables& t) {
  if (!burst.has(Kind::kNeighbor)) return;
  const net::MacAddress& mac = t.port_macs[burst.port];
  for (Packet& p : burst.all()) {
    if (!p.live() || p.kind != Kind::kNeighbor) continue;
    const DropReason r = p.family == Family::kIpv4 ? answer_request(p, t, mac) : answer_solicitation(p, t, mac);
    r == DropReason::NONE ? p.finish(burst.port) : p.drop(r);
  }
}

}  // namespace guideway::path
