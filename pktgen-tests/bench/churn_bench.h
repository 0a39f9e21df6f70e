// What changes of the desired state cost the packets: a worker on one core under full load, and control on another that
// applies endpoint changes as the engine does, in turns with runs in which nothing changes.
#pragma once

#include <cstdint>

namespace guideway::bench {

struct ChurnOptions {
  unsigned runs = 7;  // of each kind
  double seconds = 1.0;
  unsigned changes_per_second = 1'000;
  bool huge = false;
};

// Medians of the runs of one kind.
struct ChurnSide {
  double ns_per_packet = 0;  // of the worker's own time
  double ns_min = 0;
  double ns_max = 0;
  uint64_t packets = 0;  // in all of them
  double p999_us = 0;    // of a round of 64 packets, by the wall clock
  double p999_min = 0;
  double p999_max = 0;
  double changes_per_second = 0;  // applied
  double walks = 0;               // of the sweep, a second
};

struct Churn {
  ChurnSide rest;
  ChurnSide churn;
  double throughput_ratio = 0;  // under changes / at rest; the medians of pairs of runs
  double p999_ratio = 0;
  uint64_t dropped = 0;
};

Churn run_churn(const ChurnOptions& options);

}  // namespace guideway::bench
