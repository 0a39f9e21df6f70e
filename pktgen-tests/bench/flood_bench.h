// A flood of SYNs, each of a flow that was never seen, beside connections that stand: what a packet of it costs, and
// whether those connections keep their reals while backends change under them.
#pragma once

#include <cstdint>

#include "pktgen-tests/bench/source.h"

namespace guideway::bench {

struct Flood {
  double ns_per_packet = 0;  // gross; median of the runs
  double ns_min = 0;
  double ns_max = 0;
  WholeCore whole_core;      // the runs that count
  uint64_t syns = 0;         // in the runs that count
  uint32_t established = 0;  // before the flood
  uint32_t kept = 0;         // of them: met their real each time
  uint32_t off_slot = 0;     // of them: Maglev alone would now send them elsewhere
  uint64_t dropped = 0;
};

// `runs` of about a million SYNs at full rate, a second of the worker's clock each; after each, every connection asks
// once.
Flood run_flood(unsigned runs, bool v4, bool huge);

}  // namespace guideway::bench
