#include "dataplane/path/count.h"

namespace guideway::path {

void count(Burst& burst, const RealCounterRows& reals) {
  for (const Packet& p : burst.all()) {
    if (!p.live() || p.real == kNone<RealIndex>) continue;  // none: an answer of our own
    RealCounters& c = reals[p.real];
    const bool forward = p.direction == Direction::kForward;
    (forward ? c.packets : c.reply_packets).add(1);
    (forward ? c.bytes : c.reply_bytes).add(p.l3_length);
  }
}

}  // namespace guideway::path
