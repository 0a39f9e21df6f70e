// Tells everybody on the ports' links, unasked, that an address is at our MAC address: when it is to be announced from
// now on (it appeared, got its first backend, or the engine has started), and when a port has come up. Three times, one
// second apart, for any of them may be lost. It doesn't answer: workers do.
#pragma once

#include <rte_mbuf.h>
#include <rte_ring.h>

#include <chrono>
#include <map>
#include <set>
#include <vector>

#include "dataplane/control/next_hops.h"
#include "net/address.h"

namespace guideway::control {

class Announcer {
 public:
  using Clock = std::chrono::steady_clock;
  // A port and the ring to a worker that sends by it.
  struct Way {
    PortFacts port;
    rte_ring* ring = nullptr;
  };

  Announcer(std::vector<Way> ways, rte_mempool* pool) : ways_(std::move(ways)), pool_(pool) {}

  // What is announced from now on, all of it; what is new is told.
  void follow(const std::set<net::IpAddress>& announced, Clock::time_point now);
  // All of it is told anew: a port has come up.
  void repeat(Clock::time_point now);
  // Sends what is due, and at most so many messages that a worker isn't kept from its packets.
  void step(Clock::time_point now);

 private:
  struct Due {
    unsigned left = 0;
    Clock::time_point next;
  };
  void tell(const net::IpAddress& address, const Way& way);

  std::vector<Way> ways_;
  rte_mempool* pool_;
  std::set<net::IpAddress> announced_;
  std::map<net::IpAddress, Due> due_;
};

}  // namespace guideway::control
