// Builds and changes the workers' Fib. There are two of them, left and right, so that no lookup ever meets a write: a
// batch goes into the one that no worker sees, that one is published, and once the workers are quiescent the other one
// follows.
//
// Memory, for each of the two: up to 64 MB for the first 24 bits of IPv4 (as much of it as routes other than the
// default route cover, in pages of the system's), 256 kB for the first 16 of IPv6, 1 kB for each block in use.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "dataplane/control/routing/fib_writer.h"
#include "dataplane/path/fib.h"
#include "net/prefix.h"

namespace guideway::control {

struct FibLimits {
  uint32_t blocks_v4 = 16'384;  // one for every /24 in which there is a longer prefix, such as a neighbour
  uint32_t blocks_v6 = 65'536;  // one for every 8 bits beyond the first 16 of every prefix, shared where they are equal
};

struct FibEntry {
  net::Prefix prefix;
  path::RouteIndex index = path::kNoRoute;  // kNoRoute removes the prefix; at most path::kMaxRouteIndex
};

class FibBuilder {
 public:
  struct Callbacks {
    std::function<void(const path::Fib*)> publish;  // workers take it up from their next round on
    std::function<void()> wait_until_quiescent;     // returns once none can hold what was published before
  };

  // Publishes an empty one.
  static absl::StatusOr<std::unique_ptr<FibBuilder>> create(const FibLimits& limits, Callbacks callbacks);

  // All of the batch or, if something doesn't fit, nothing: ResourceExhausted names the prefix and the limit,
  // InvalidArgument an index that is too large. The last entry of a prefix counts. Removing what isn't there is fine.
  absl::Status apply(std::span<const FibEntry> changes);

  // What workers see now.
  const path::Fib* fib() const { return &published_->fib; }
  size_t size() const { return content_.size(); }
  uint32_t blocks_in_use_v4() const { return published_->v4.blocks_in_use(); }
  uint32_t blocks_in_use_v6() const { return published_->v6.blocks_in_use(); }

 private:
  // One of the two.
  struct Side {
    FibWriter v4;
    FibWriter v6;
    path::Fib fib;
  };
  // A change as it was made: enough to make it on the other side, and to take it back.
  struct Step {
    FibEntry change;
    FibOwner parent;  // whose the slots of a removed prefix became
    path::RouteIndex before = path::kNoRoute;
  };

  FibBuilder(const FibLimits& limits, Callbacks callbacks) : limits_(limits), callbacks_(std::move(callbacks)) {}
  static absl::StatusOr<std::unique_ptr<Side>> make_side(const FibLimits& limits);
  std::vector<FibEntry> needed(std::span<const FibEntry> changes) const;
  FibOwner parent_of(const net::Prefix& prefix) const;
  static bool write(Side& side, const FibEntry& e, FibOwner parent);
  std::optional<Step> step(Side& side, const FibEntry& e);
  absl::Status refusal(const FibEntry& e) const;

  FibLimits limits_;
  Callbacks callbacks_;
  std::unique_ptr<Side> published_;
  std::unique_ptr<Side> standby_;  // the same content, between calls
  std::unordered_map<net::Prefix, path::RouteIndex> content_;
};

}  // namespace guideway::control
