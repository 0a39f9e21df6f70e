#include "dataplane/path/fib.h"

#include <array>
#include <cstring>

namespace guideway::path {
namespace {

// DPDK's functions take mutable arrays of bytes, and write 64 bits for each.
using Addresses6 = std::array<uint8_t[RTE_FIB6_IPV6_ADDR_SIZE], Fib::kBurst>;
using Found = std::array<uint64_t, Fib::kBurst>;

void narrow(const Found& wide, std::span<RouteIndex> found) {
  for (size_t i = 0; i < found.size(); ++i) found[i] = RouteIndex{static_cast<uint32_t>(wide[i])};
}

}  // namespace

RouteIndex Fib::lookup(const net::IpAddress& destination) const {
  if (destination.is_v4()) return lookup(destination.as_v4());
  RouteIndex found;
  lookup_burst({&destination, 1}, {&found, 1});
  return found;
}

void Fib::lookup_burst(std::span<const net::Be32> destinations, std::span<RouteIndex> found) const {
  std::array<uint32_t, kBurst> host;
  Found wide;
  for (size_t i = 0; i < destinations.size(); ++i) host[i] = destinations[i].host();
  rte_fib_lookup_bulk(v4_.get(), host.data(), wide.data(), static_cast<int>(destinations.size()));
  narrow(wide, found.first(destinations.size()));
}

void Fib::lookup_burst(std::span<const net::IpAddress> destinations, std::span<RouteIndex> found) const {
  Addresses6 bytes;
  Found wide;
  for (size_t i = 0; i < destinations.size(); ++i) std::memcpy(bytes[i], destinations[i].bytes.data(), 16);
  rte_fib6_lookup_bulk(v6_.get(), bytes.data(), wide.data(), static_cast<int>(destinations.size()));
  narrow(wide, found.first(destinations.size()));
}

}  // namespace guideway::path
