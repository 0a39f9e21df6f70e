// Where a worker looks destinations up: longest prefix match to the index of a route, which its owner gives a meaning.
// Read-only: built and changed by dataplane/control/routing/fib_builder.h, never while a worker may see it.
#pragma once

#include <rte_fib.h>
#include <rte_fib6.h>

#include <cstdint>
#include <memory>
#include <span>

#include "dataplane/path/index.h"
#include "net/address.h"

namespace guideway::control {
class FibBuilder;
}

namespace guideway::path {

class Fib {
 public:
  // Most that one call of a burst function looks up.
  static constexpr size_t kBurst = 64;

  RouteIndex lookup(net::Be32 destination) const {
    uint32_t host = destination.host();
    uint64_t found;
    rte_fib_lookup_bulk(v4_.get(), &host, &found, 1);
    return RouteIndex{static_cast<uint32_t>(found)};
  }
  // Either family.
  RouteIndex lookup(const net::IpAddress& destination) const;

  // destinations: at most kBurst; found: as many.
  void lookup_burst(std::span<const net::Be32> destinations, std::span<RouteIndex> found) const;
  // IPv6 only: an IPv4 address in here would be looked up as ::ffff:a.b.c.d.
  void lookup_burst(std::span<const net::IpAddress> destinations, std::span<RouteIndex> found) const;

 private:
  friend class control::FibBuilder;
  struct Deleter {
    void operator()(rte_fib* f) const { rte_fib_free(f); }
    void operator()(rte_fib6* f) const { rte_fib6_free(f); }
  };
  Fib() = default;

  std::unique_ptr<rte_fib, Deleter> v4_;
  std::unique_ptr<rte_fib6, Deleter> v6_;
};

}  // namespace guideway::path
