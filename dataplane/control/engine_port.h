// A port as control has brought it up, whatever its kind: facts for routing and status, and the queues for workers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dataplane/control/next_hops.h"
#include "dataplane/path/port.h"

namespace guideway::control {

struct EnginePort {
  PortFacts facts;
  std::string name;  // "eth0", "net_ring0"
  std::string kind;  // "af_xdp", "dpdk"
  std::string mode;  // "driver", "generic"; empty for DPDK's
  std::vector<std::unique_ptr<path::PortQueue>> queues;
};

}  // namespace guideway::control
