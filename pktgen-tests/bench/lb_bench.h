// The load balancer's cost: prepared packets from memory through the real pipeline on one core, beside the floor.
#pragma once

#include <string>
#include <vector>

#include "pktgen-tests/bench/flows.h"
#include "pktgen-tests/bench/source.h"

namespace guideway::bench {

struct Result {
  std::string scenario;
  double ns_per_packet = 0;  // gross; median of the runs
  double ns_min = 0;
  double ns_max = 0;
  double floor_ns_per_packet = 0;  // receive, parse and send alone, in the same runs in turn
  WholeCore whole_core;            // the runs that count
  uint64_t packets = 0;            // in the runs that count
  uint64_t dropped = 0;            // in any run; none, or the figure means nothing
};

// `runs` pairs of floor and pipeline, each of about a million packets, on a core of its own (source.h).
Result run(const Scenario& scenario, unsigned runs, bool huge);

}  // namespace guideway::bench
