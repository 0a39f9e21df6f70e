// The desired state as the contract brings it, decoded and checked entry by entry.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "dataplane/engine.pb.h"
#include "dataplane/path/connection.h"
#include "dataplane/path/tables.h"
#include "lb/selection.h"
#include "net/address.h"
#include "net/prefix.h"

namespace guideway::control {

// Why a batch isn't taken; the old state stays in force.
struct Refusal {
  std::string entry;  // a service's name, "gateway" or kDeniedEntry
  std::string field;
  std::string why;
  bool later = false;  // for room that comes by itself: it may be tried again as it is
};

template <typename T>
using Checked = std::variant<T, Refusal>;

struct ServiceSpec {
  std::string name;
  path::VipKey vip;
  path::Mode mode = path::Mode::kNat;
  uint32_t table_size = 0;
  std::vector<lb::Real> reals;
  uint16_t mtu = 0;               // bytes of IP with the outer header; 0: the link's
  uint32_t affinity_seconds = 0;  // 0: none
  std::vector<net::Prefix> source_ranges = {};
  bool source_ranges_deny = false;
  bool announce = false;
  uint32_t rate_limit = 0;  // packets a second; 0: none
  friend bool operator==(const ServiceSpec&, const ServiceSpec&) = default;
};

inline constexpr uint32_t kDefaultNewFlowRate = 125'000;  // a second and worker, as Katran's guard
inline constexpr uint32_t kDefaultIcmpRate = 1'000;       // a second and worker, as Linux's icmp_msgs_per_sec

inline constexpr uint32_t kMaxRateLimit = 10'000'000;  // packets a second

// Of packets to VIPs from each prefix of these lengths.
struct SourceRate {
  uint32_t packets_per_second = 0;  // 0: no limit
  uint32_t burst = 0;               // 0: a tenth of a second's
  uint32_t ipv4_length = 32;
  uint32_t ipv6_length = 128;
};

struct GatewaySpec {
  std::vector<path::SnatAddress> snat;
  std::vector<bool> dedicated;                    // one for each of snat
  std::vector<bool> announced = {};               // likewise, or empty for none
  std::optional<net::Prefix> encap_source4 = {};  // bits below its length are the flow hash's
  std::optional<net::Prefix> encap_source6 = {};
  uint64_t hash_seed = 0;
  path::IdleTimeouts idle_timeouts = path::kIdleTimeout;
  uint32_t new_flow_rate = kDefaultNewFlowRate;
  uint32_t icmp_rate = kDefaultIcmpRate;
  SourceRate source_rate = {};
};

// A part of the prefixes whose sources are denied: all that stand in it.
struct DeniedPart {
  uint32_t number = 0;
  std::vector<net::Prefix> prefixes = {};  // sorted, each once
};
inline constexpr const char* kDeniedEntry = "denied sources";

Checked<ServiceSpec> decode(const engine::Service& message);
Checked<DeniedPart> decode(const engine::DeniedSources& message);
Checked<GatewaySpec> decode(const engine::Gateway& message);

// What one commit brings.
struct Batch {
  bool full = false;  // services and parts that it doesn't name are removed
  std::optional<GatewaySpec> gateway;
  std::vector<ServiceSpec> services;
  std::vector<std::string> removals;
  std::vector<DeniedPart> denied = {};
};

}  // namespace guideway::control
