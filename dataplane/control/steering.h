// What XDP steers to the engine, told from what is published.
#pragma once

#include <vector>

#include "dataplane/control/publisher.h"
#include "xdp/loader.h"

namespace guideway::control {

struct Steering {
  std::vector<gw_vip_key> vips;
  std::vector<xdp::AddressEntry> addresses;
};

Steering steering_of(const Publisher& publisher);

}  // namespace guideway::control
