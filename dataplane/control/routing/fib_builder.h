// Builds and changes the workers' Fib. DPDK's tables can't be changed under readers (a tbl8 that is taken back may be
// given out again while a worker walks it), so there are two of them, left and right: a batch goes into the one that no
// worker sees, that one is published, and once the workers are quiescent the other one follows.
//
// Memory, of each family and each of the two: 32 MB for the first 24 bits (64 MB if wide), 512 bytes (1 kB) for each
// tbl8, 256 bytes for each of max_routes. The defaults take 174 MB. It comes from DPDK's heap, so rte_eal_init()
// must have been given as much.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "dataplane/control/routing/prefix.h"
#include "dataplane/path/fib.h"

namespace guideway::control {

struct FibLimits {
  // 4 instead of 2 bytes an entry: route indices up to 2^31 − 1 instead of 32,767, and no bound on the tbl8s.
  bool wide = false;
  // IPv4: one tbl8 for every /24 in which there is a longer prefix, such as a neighbour. IPv6: one for every 8 bits
  // beyond the first 24 of every distinct prefix. At most 32,767 each unless wide; DPDK
  // rounds them up to multiples of 64.
  uint32_t tbl8s_v4 = 4096;
  uint32_t tbl8s_v6 = 8192;
  uint32_t max_routes_v4 = 16384;
  uint32_t max_routes_v6 = 16384;
};

struct FibEntry {
  Prefix prefix;
  path::RouteIndex index = path::kNoRoute;  // kNoRoute removes the prefix
};

class FibBuilder {
 public:
  struct Callbacks {
    std::function<void(const path::Fib*)> publish;  // workers take it up from their next round on
    std::function<void()> wait_until_quiescent;     // returns once none can hold what was published before
  };

  // ResourceExhausted if DPDK's heap is too small.
  static absl::StatusOr<std::unique_ptr<FibBuilder>> create(const FibLimits& limits, Callbacks callbacks);

  // All of the batch or, if something doesn't fit, nothing: ResourceExhausted names the prefix and the limit,
  // InvalidArgument an index that is too large. The last entry of a prefix counts. Removing what isn't there is fine.
  absl::Status apply(std::span<const FibEntry> changes);
  // The same, where `entries` is all that shall be there.
  absl::Status replace(std::span<const FibEntry> entries);

  // What workers see now.
  const path::Fib* fib() const { return published_.get(); }
  size_t size() const { return content_.size(); }
  uint32_t max_index() const { return limits_.wide ? (1U << 31) - 1 : (1U << 15) - 1; }

 private:
  FibBuilder(const FibLimits& limits, Callbacks callbacks) : limits_(limits), callbacks_(std::move(callbacks)) {}
  static absl::StatusOr<std::unique_ptr<path::Fib>> make(const FibLimits& limits);
  static int write(path::Fib& fib, const FibEntry& e);
  std::vector<FibEntry> needed(std::span<const FibEntry> changes) const;
  absl::Status write_all(path::Fib& fib, std::span<const FibEntry> changes) const;
  absl::Status refusal(const FibEntry& e, int error) const;

  FibLimits limits_;
  Callbacks callbacks_;
  std::unique_ptr<path::Fib> published_;
  std::unique_ptr<path::Fib> standby_;  // the same content, between calls
  std::unordered_map<Prefix, path::RouteIndex> content_;
};

}  // namespace guideway::control
