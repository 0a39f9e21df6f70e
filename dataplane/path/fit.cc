#include "dataplane/path/fit.h"

namespace guideway::path {

namespace {

// Bytes that apply() will put around the packet.
uint32_t overhead(const Packet& p) {
  if (p.answer || p.mode != Mode::kDsrIpip) return 0;
  return p.family == Family::kIpv4 ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header);
}

}  // namespace

void fit(Burst& burst, const Tables& t) {
  for (Packet& p : burst.all())
    if (p.live() && p.l3_length + overhead(p) > t.next_hops[p.hop].mtu) p.drop(net::DropReason::MTU_EXCEEDED);
}

}  // namespace guideway::path
