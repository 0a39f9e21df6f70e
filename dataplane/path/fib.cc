#include "dataplane/path/fib.h"

#include <array>

namespace guideway::path {
namespace {

uint32_t root_slot_v6(const net::IpAddress& a) { return static_cast<uint32_t>(a.bytes[0]) << 8 | a.bytes[1]; }

}  // namespace

RouteIndex Fib::lookup(const net::IpAddress& destination) const {
  if (destination.is_v4()) return lookup(destination.as_v4());
  RouteIndex found;
  lookup_burst({&destination, 1}, {&found, 1});
  return found;
}

void Fib::lookup_burst(std::span<const net::Be32> destinations, std::span<RouteIndex> found) const {
  std::array<uint32_t, kBurst> slots;
  for (const net::Be32 d : destinations) __builtin_prefetch(&v4.root[d.host() >> 8]);
  for (size_t i = 0; i < destinations.size(); ++i) {
    const uint32_t host = destinations[i].host();
    slots[i] = v4.root[host >> 8];
    if (FibTable::is_block(slots[i])) __builtin_prefetch(v4.below(slots[i], static_cast<uint8_t>(host)));
  }
  for (size_t i = 0; i < destinations.size(); ++i) {
    if (FibTable::is_block(slots[i])) slots[i] = *v4.below(slots[i], static_cast<uint8_t>(destinations[i].host()));
    found[i] = v4.route(slots[i]);
  }
}

void Fib::lookup_burst(std::span<const net::IpAddress> destinations, std::span<RouteIndex> found) const {
  // Level by level, so that the burst's loads overlap; those that have arrived drop out.
  std::array<uint32_t, kBurst> slots;
  std::array<uint8_t, kBurst> open;
  size_t left = 0;
  for (size_t i = 0; i < destinations.size(); ++i) {
    slots[i] = v6.root[root_slot_v6(destinations[i])];
    if (!FibTable::is_block(slots[i])) continue;
    __builtin_prefetch(v6.below(slots[i], destinations[i].bytes[2]));
    open[left++] = static_cast<uint8_t>(i);
  }
  for (size_t level = 2; left > 0; ++level) {
    const size_t were = left;
    left = 0;
    for (size_t k = 0; k < were; ++k) {
      const size_t i = open[k];
      slots[i] = *v6.below(slots[i], destinations[i].bytes[level]);
      if (!FibTable::is_block(slots[i])) continue;
      __builtin_prefetch(v6.below(slots[i], destinations[i].bytes[level + 1]));
      open[left++] = static_cast<uint8_t>(i);
    }
  }
  for (size_t i = 0; i < destinations.size(); ++i) found[i] = v6.route(slots[i]);
}

}  // namespace guideway::path
