#include "dataplane/path/fit.h"

#include <algorithm>

#include "dataplane/path/cut.h"
#include "dataplane/path/encapsulate.h"
#include "dataplane/path/route.h"
#include "dataplane/path/too_big.h"

namespace guideway::path {

namespace {

using net::DropReason;

// Of the way on, outer header included; a service's MTU is that of the way to its reals.
uint32_t mtu_of(const Packet& p, const Tables& t) {
  const uint32_t link = p.hop->mtu;
  if (p.answer || p.direction == Direction::kReply) return link;
  const uint32_t service = t.services[p.service].mtu;
  return service == 0 ? link : std::min(link, service);
}

// An error is translated as a whole, and so is SCTP, whose checksum nat computes anew.
bool may_be_cut(const Packet& p) {
  if (p.family != Family::kIpv4 || p.kind == Kind::kIcmpError) return false;
  if (p.mode == Mode::kNat && p.is(net::Protocol::kSctp)) return false;
  return (reinterpret_cast<const net::Ipv4Header*>(p.l3)->fragment.host() & net::kIpv4DontFragment) == 0;
}

void tell(Packet& p, uint32_t room, const Tables& t, TokenBucket& icmp, Counters& counters, Glean& glean) {
  if (!is_told_too_big(p, room) || !icmp.take() || !become_too_big(p, room)) return p.drop(DropReason::MTU_EXCEEDED);
  route_answer(p, t, glean);
  if (!p.live() || p.l3_length > p.hop->mtu) return p.drop(DropReason::MTU_EXCEEDED);
  counters.drops[static_cast<size_t>(DropReason::MTU_EXCEEDED)].add(1);
}

}  // namespace

void fit(Burst& burst, const Tables& t, TokenBucket& icmp, Counters& counters, Glean& glean) {
  const unsigned received = burst.count;
  for (unsigned i = 0; i < received; ++i) {
    Packet& p = burst.packets[i];
    if (!p.live()) continue;
    // Mostly a packet fits whatever is put around it, so that nothing else need be looked at.
    if (p.l3_length + kMostOverhead <= std::min<uint32_t>(p.hop->mtu, kMinServiceMtu)) [[likely]]
      continue;
    const uint32_t around = overhead(p, t);
    const uint32_t mtu = mtu_of(p, t);
    if (p.l3_length + around <= mtu) continue;
    const uint32_t room = mtu > around ? mtu - around : 0;
    if (!may_be_cut(p))
      tell(p, room, t, icmp, counters, glean);
    else if (room < kLeastPiece)
      p.drop(DropReason::MTU_EXCEEDED);
    else if (!cut(burst, p, room))
      p.drop(DropReason::NO_BUFFER);
  }
}

}  // namespace guideway::path
