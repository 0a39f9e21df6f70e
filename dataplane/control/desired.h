// The desired state as the contract brings it, decoded and checked entry by entry.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "dataplane/engine.pb.h"
#include "dataplane/path/tables.h"
#include "lb/selection.h"
#include "net/address.h"

namespace guideway::control {

// Why a batch isn't taken; the old state stays in force.
struct Refusal {
  std::string entry;  // a service's name, or "gateway"
  std::string field;
  std::string why;
};

template <typename T>
using Checked = std::variant<T, Refusal>;

struct ServiceSpec {
  std::string name;
  path::VipKey vip;
  path::Mode mode = path::Mode::kNat;
  uint32_t table_size = 0;
  std::vector<lb::Real> reals;
  friend bool operator==(const ServiceSpec&, const ServiceSpec&) = default;
};

struct GatewaySpec {
  std::vector<path::SnatAddress> snat;
  std::vector<bool> dedicated;  // one for each of snat
  std::optional<net::IpAddress> encap_source4;
  std::optional<net::IpAddress> encap_source6;
  uint64_t hash_seed = 0;
};

Checked<ServiceSpec> decode(const engine::Service& message);
Checked<GatewaySpec> decode(const engine::Gateway& message);

// What one commit brings.
struct Batch {
  bool full = false;  // services that it doesn't name are removed
  std::optional<GatewaySpec> gateway;
  std::vector<ServiceSpec> services;
  std::vector<std::string> removals;
};

}  // namespace guideway::control
