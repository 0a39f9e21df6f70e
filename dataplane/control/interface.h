// What the kernel says of a network interface before the engine takes part in it. Reads; the one thing it changes is
// the number of channels.
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "net/address.h"

namespace guideway::control {

struct Interface {
  std::string name;
  int ifindex = 0;
  net::MacAddress mac;
  unsigned mtu = 0;
  bool up = false;
  unsigned receive_queues = 1;
  std::string driver;             // "veth"; empty if it doesn't say
  bool transmit_offload = false;  // leaves checksums or segmentation to the device
};

absl::StatusOr<Interface> find_interface(const std::string& name);

// Makes it have `queues` receive queues (ETHTOOL_SCHANNELS).
absl::Status set_receive_queues(const std::string& name, unsigned queues);

}  // namespace guideway::control
