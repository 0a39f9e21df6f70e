// Keeps the workers' Fib in step with the kernel: its routes, and every resolved neighbour as a host route. A prefix on
// a link leads to no neighbour by itself: what isn't resolved yet is dropped with its reason.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "dataplane/control/publisher.h"
#include "dataplane/control/routing/fib_builder.h"

namespace guideway::control {

class Forwarding {
 public:
  static absl::StatusOr<std::unique_ptr<Forwarding>> create(const Rib& rib, Publisher& publisher, Reclaimer& reclaimer,
                                                            const FibLimits& limits);

  // After the Rib changed. An error names the first that doesn't fit; all else is in force, and the rest is tried again
  // with the next change.
  absl::Status update(const Changes& changes);
  // Of the last update.
  const absl::Status& status() const { return status_; }
  const FibBuilder& fib() const { return *builder_; }

 private:
  Forwarding(const Rib& rib, Publisher& publisher) : rib_(rib), publisher_(publisher) {}
  absl::Status apply(std::span<const FibEntry> entries);
  absl::Status follow(const Changes& changes);
  std::vector<net::Prefix> prefixes() const;
  path::RouteIndex lead(const net::Prefix& prefix);

  const Rib& rib_;
  Publisher& publisher_;
  std::unique_ptr<FibBuilder> builder_;
  std::unordered_map<net::Prefix, path::RouteIndex> held_;
  absl::Status status_;
};

}  // namespace guideway::control
