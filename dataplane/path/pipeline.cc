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
#include "dataplane/path/track.h"
#include "dataplane/path/worker.h"

namespace guideway::path {

bool Worker::round(Tick now) {
  const Tables& t = tables();  // one snapshot per round, reclaimed by QSBR
  const HashSeeds seeds{t.hash_seed, learner_.table_seed};
  bool busy = forward();          // what others finished and only we can send
  for (const RxQueue& q : rx_) {  // the ports' queues, the rings from other workers, and fragments that have waited
    if (receive(q) == 0) continue;
    Burst& b = burst_;
    parse(b);                                            // L2 to L4, the flow
    match(b, *fragments_, seeds, handover_, counters_);  // a later fragment has the ports of its first
    announce(b, t);                                      // who asks on the link for an address of ours is told
    answer(b, t);                                        // pings of VIPs go back
    track(b, conns_, t, seeds, now);                     // known connection: what to do was decided by its first packet
    if (b.undecided) {                                   // some belong to no connection that we know
      hand(b, conns_, t, handover_, counters_, now);     // unknown, and another worker's to keep: over the ring
      balance(b, conns_, t, learner_.table_seed, now);   // the others: VIP → real
      learn(b, conns_, t, learner_, guard_, now);        // remember
      hand_on(b, conns_, t, handover_, counters_, now);  // what found no SNAT port here: to the next worker
    }
    route(b, conns_, t, glean_);                 // the next hop
    count(b, ledger_.reals());                   // what its real gets or answers
    make_whole(b);                               // (sanitizers) so far packets were only read
    fit(b, t, icmp_errors_, counters_, glean_);  // too large for that link: cut, or its sender is told
    apply(b, conns_, t);                         // translate or encapsulate, TTL, checksums
    frame(b);                                    // L2 header
    send(b);                                     // and free what was dropped, counting the reason
    busy = true;
  }
  ring_doorbells();  // what was queued leaves, what has left comes back
  counters_.rounds.add(1);
  return busy;
}

}  // namespace guideway::path
