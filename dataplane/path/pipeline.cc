// The life of a burst, all of it: whoever reads this has seen the path.
#include "dataplane/path/announce.h"
#include "dataplane/path/answer.h"
#include "dataplane/path/apply.h"
#include "dataplane/path/balance.h"
#include "dataplane/path/count.h"
#include "dataplane/path/fit.h"
#include "dataplane/path/fragments.h"
#include "dataplane/path/frame.h"
#include "dataplane/path/hand.h"
#include "dataplane/path/learn.h"
#include "dataplane/path/parse.h"
#include "dataplane/path/poison.h"
#include "dataplane/path/route.h"
#include "dataplane/path/trace.h"
#include "dataplane/path/track.h"
#include "dataplane/path/worker.h"

namespace guideway::path {

namespace {

// Who traces a packet looks at it after each stage; for all others `seen` is nothing.
template <typename Seen>
inline void walk(Burst& b, Holdings& h, const Tables& t, Tick now, Seen seen) {
  const HashSeeds seeds{t.hash_seed, h.learner.table_seed};
  parse(b);  // L2 to L4, the flow
  seen(Stage::kParse);
  match(b, *h.fragments, seeds, h.handover, h.counters);  // a later fragment has the ports of its first
  seen(Stage::kMatch);
  announce(b, t);  // who asks on the link for an address of ours is told
  answer(b, t);    // pings of VIPs go back
  seen(Stage::kAnswer);
  track(b, h.connections, t, seeds, now);  // known connection: what to do was decided by its first packet
  seen(Stage::kTrack);
  if (b.undecided) {                                         // some belong to no connection that we know
    hand(b, h.connections, t, h.handover, h.counters, now);  // unknown, and another worker's to keep: over the ring
    seen(Stage::kHand);
    balance(b, h.connections, t, h.learner.table_seed, now);  // the others: VIP → real
    seen(Stage::kBalance);
    learn(b, h.connections, t, h.learner, h.guard, now);  // remember
    seen(Stage::kLearn);
    hand_on(b, h.connections, t, h.handover, h.counters, now);  // what found no SNAT port here: to the next worker
    seen(Stage::kHandOn);
  }
  route(b, h.connections, t, h.glean);  // the next hop
  seen(Stage::kRoute);
  count(b, h.reals);                              // what its real gets or answers
  make_whole(b);                                  // (sanitizers) so far packets were only read
  fit(b, t, h.icmp_errors, h.counters, h.glean);  // too large for that link: cut, or its sender is told
  seen(Stage::kFit);
  apply(b, h.connections, t);  // translate or encapsulate, TTL, checksums
  seen(Stage::kApply);
  frame(b);  // L2 header
  seen(Stage::kFrame);
}

}  // namespace

bool Worker::round(Tick now) {
  const Tables& t = tables();     // one snapshot per round, reclaimed by QSBR
  bool busy = forward();          // what others finished and only we can send
  for (const RxQueue& q : rx_) {  // the ports' queues, the rings from other workers, and fragments that have waited
    if (receive(q) == 0) continue;
    walk(burst_, own_, t, now, [](Stage) {});
    send(burst_);  // and free what was dropped, counting the reason
    busy = true;
  }
  ring_doorbells();  // what was queued leaves, what has left comes back
  own_.counters.rounds.add(1);
  return busy;
}

void Worker::rehearse(Trace& trace, Tick now) {
  const Tables& t = tables();
  prepare(trace);
  walk(trace.burst, *trace.holdings, t, now, [&](Stage s) { trace.note(s, t); });
  trace.done.store(true, std::memory_order_release);
}

}  // namespace guideway::path
