// Where a worker looks destinations up: longest prefix match to the index of a route, which its owner gives a meaning.
// Read-only: built and changed by dataplane/control/routing/fib_builder.h, never while a worker may see it.
//
// A table for each family. The address's first bits pick a slot of the root, which holds a route or names a block of
// 256 slots for the next 8 bits, and so on:
//
//   IPv4: root of 2^24 slots, one block below: at most two loads, one for prefixes up to /24
//   IPv6: root of 2^16 slots (256 kB), a block for each 8 bits: 7 loads for a /64 (14 for a host route), cached above
//
// Ours, not DPDK's rte_fib: that of 22.11 answers with the default route where a host route stands (0.0.0.0/0 written
// after routes that reach both ends of the address space), loses count of its blocks when a host route has the next hop
// of the route around it, and takes 128 MB before the first route.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/path/index.h"
#include "net/address.h"

namespace guideway::path {

inline constexpr uint32_t kMaxRouteIndex = (1U << 24) - 1;

// One family's table. A slot: 1 bit that says what it is; 7 bits of the length − 1 of the prefix that wrote it (for the
// writer); 24 bits of route index, zero for none. Or the 24 bits are a block's number.
struct FibTable {
  static constexpr uint32_t kIsBlock = 1U << 31;
  static constexpr uint32_t kNumber = (1U << 24) - 1;
  static constexpr size_t kBlockSlots = 256;

  const uint32_t* root = nullptr;
  const uint32_t* blocks = nullptr;
  RouteIndex fallback = kNoRoute;  // the default route

  static bool is_block(uint32_t slot) { return (slot & kIsBlock) != 0; }
  const uint32_t* below(uint32_t slot, uint8_t next_bits) const {
    return blocks + (slot & kNumber) * kBlockSlots + next_bits;
  }
  RouteIndex route(uint32_t slot) const {
    const RouteIndex r{slot & kNumber};
    return r == kNoRoute ? fallback : r;
  }
};

struct Fib {
  // Most that one call of a burst function looks up.
  static constexpr size_t kBurst = 64;

  FibTable v4;
  FibTable v6;

  RouteIndex lookup(net::Be32 destination) const {
    const uint32_t host = destination.host();
    uint32_t slot = v4.root[host >> 8];
    if (FibTable::is_block(slot)) slot = *v4.below(slot, static_cast<uint8_t>(host));
    return v4.route(slot);
  }
  // Either family.
  RouteIndex lookup(const net::IpAddress& destination) const;

  // destinations: at most kBurst; found: as many. Loads of the whole burst are under way together.
  void lookup_burst(std::span<const net::Be32> destinations, std::span<RouteIndex> found) const;
  // IPv6 only: an IPv4 address in here would be looked up as ::ffff:a.b.c.d.
  void lookup_burst(std::span<const net::IpAddress> destinations, std::span<RouteIndex> found) const;
};

}  // namespace guideway::path
