// What the command line says about a port, before anything is touched. It opens nothing and asks the kernel nothing.
#pragma once

#include <absl/status/statusor.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "net/address.h"

namespace guideway::control {

struct PortSpec {
  enum class Kind { kAfXdp, kDpdk };
  Kind kind = Kind::kAfXdp;
  std::string name;                // of the interface, or DPDK's devargs
  std::optional<unsigned> queues;  // only with kAfXdp; nothing: all that the interface has
  net::MacAddress next_hop;        // only with kDpdk
};

// "af_xdp:IFNAME[:QUEUES]" or "dpdk:DEVARGS@NEXT_HOP_MAC", from 1 to 16 of them, none named twice. InvalidArgument says
// which is wrong and what it should look like.
absl::StatusOr<std::vector<PortSpec>> parse_ports(std::span<const std::string> texts);

}  // namespace guideway::control
