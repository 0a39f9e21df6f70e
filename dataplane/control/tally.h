// What the workers have counted for each real, as control reads it: since the real appeared, although rows are used
// again and nobody but their worker writes them.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "dataplane/control/memory.h"
#include "dataplane/path/real_counters.h"

namespace guideway::control {

// Rows of reals that there may be at once: those in force, and those removed that connections still name.
inline constexpr uint32_t kMaxRealRows = 1U << 20;

struct RealCount {
  uint64_t packets = 0;
  uint64_t bytes = 0;
  uint64_t reply_packets = 0;
  uint64_t reply_bytes = 0;
  uint64_t connections = 0;
  uint64_t live = 0;
};
RealCount operator+(const RealCount& a, const RealCount& b);
RealCount operator-(const RealCount& a, const RealCount& b);

using PerWorker = std::vector<RealCount>;

class Tally {
 public:
  static absl::StatusOr<std::unique_ptr<Tally>> create(unsigned workers);

  std::span<path::RealCounters> rows(unsigned worker) const {
    return memory_[worker].as<path::RealCounters>(kMaxRealRows);
  }
  // For packets that are traced, which count for nobody.
  std::span<path::RealCounters> rows_aside() const { return rows(workers()); }
  unsigned workers() const { return static_cast<unsigned>(memory_.size()) - 1; }

  // Before workers see the row: its memory is there, so that they meet no page fault.
  void prepare(path::RealIndex i);
  PerWorker read(path::RealIndex i) const;
  // What the row counts from here on is another real's. No worker may count for the old one any more.
  void begin_anew(path::RealIndex i);

 private:
  Tally() = default;
  RealCount raw(unsigned worker, path::RealIndex i) const;

  std::vector<Mapping> memory_;  // a worker's each, and one aside
  uint32_t prepared_ = 0;        // rows
  std::unordered_map<path::RealIndex, PerWorker> base_;
};

}  // namespace guideway::control
