// What tells one flow from another, as it stands in the packet, and its hash.
#pragma once

#include <cstdint>
#include <cstring>

#include "net/address.h"
#include "net/flow_hash.h"

namespace guideway::net {

// Addresses and ports in the order in which they stand in the packet, so that both are filled by two copies.
struct FlowKey4 {
  Be32 source;
  Be32 destination;
  Be16 source_port;
  Be16 destination_port;
  uint32_t protocol = 0;  // an IP protocol number; so wide that the key has no padding
  friend bool operator==(const FlowKey4& a, const FlowKey4& b) { return std::memcmp(&a, &b, sizeof a) == 0; }
};
static_assert(sizeof(FlowKey4) == 16);

struct FlowKey6 {
  IpAddress source;
  IpAddress destination;
  Be16 source_port;
  Be16 destination_port;
  uint32_t protocol = 0;  // an IP protocol number; so wide that the key has no padding
  friend bool operator==(const FlowKey6& a, const FlowKey6& b) { return std::memcmp(&a, &b, sizeof a) == 0; }
};
static_assert(sizeof(FlowKey6) == 40);

// An IPv4 flow with mapped addresses: one key for both families where speed isn't at stake.
inline FlowKey6 widen(const FlowKey4& k) {
  return {IpAddress::v4(k.source), IpAddress::v4(k.destination), k.source_port, k.destination_port, k.protocol};
}
inline const FlowKey6& widen(const FlowKey6& k) { return k; }
// Only if its addresses are mapped ones.
inline FlowKey4 narrow(const FlowKey6& k) {
  return {k.source.as_v4(), k.destination.as_v4(), k.source_port, k.destination_port, k.protocol};
}

inline uint64_t flow_hash(const FlowKey4& key, uint64_t seed) {
  uint64_t addresses;
  uint32_t ports;
  std::memcpy(&addresses, &key.source, sizeof addresses);
  std::memcpy(&ports, &key.source_port, sizeof ports);
  return gw_flow_hash4(seed, addresses, ports, key.protocol);
}

inline uint64_t flow_hash(const FlowKey6& key, uint64_t seed) {
  uint64_t source[2];
  uint64_t destination[2];
  uint32_t ports;
  std::memcpy(source, &key.source, sizeof source);
  std::memcpy(destination, &key.destination, sizeof destination);
  std::memcpy(&ports, &key.source_port, sizeof ports);
  return gw_flow_hash6(seed, source, destination, ports, key.protocol);
}

}  // namespace guideway::net
