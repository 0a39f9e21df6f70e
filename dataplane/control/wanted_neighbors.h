// Hosts on our links that workers have packets for and the kernel doesn't know: it is asked to resolve them, for as
// long as that may be of use. Bounded, for a sender of packets with made-up addresses must not fill the kernel's table.
#pragma once

#include <chrono>
#include <map>

#include "dataplane/control/next_hops.h"
#include "dataplane/control/routing/rib.h"

namespace guideway::control {

class WantedNeighbors {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // Half of the kernel's default limit (gc_thresh3 is 1,024), which the host needs as well.
  static constexpr size_t kLimit = 512;
  // Who hasn't answered by then isn't there: the kernel asks three times, a second apart.
  static constexpr std::chrono::seconds kUnanswered{4};
  // Then the kernel's own ageing decides; whose entry goes while we have packets for it is wanted anew.
  static constexpr std::chrono::seconds kAnswered{600};

  WantedNeighbors(const Rib& rib, NextHops::Keep keep) : rib_(rib), keep_(std::move(keep)) {}

  void want(const net::IpAddress& address, Time now);
  void age(Time now);
  size_t size() const { return wanted_.size(); }

 private:
  const Rib& rib_;
  NextHops::Keep keep_;
  std::map<NeighborKey, Time> wanted_;  // since when
};

}  // namespace guideway::control
