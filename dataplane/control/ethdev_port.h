// DPDK's own ports without a kernel interface (net_memif, net_pcap, net_ring, net_null), by their devargs. They know no
// neighbours: one next hop is declared for all that leaves by them.
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "dataplane/control/engine_port.h"

namespace guideway::control {

// `devargs` as DPDK takes them ("net_null0,size=60"); one queue for each worker, as far as the port has them.
absl::StatusOr<EnginePort> open_ethdev_port(const std::string& devargs, const net::MacAddress& next_hop, uint8_t index,
                                            unsigned workers, rte_mempool* pool);

// A port that DPDK has made already.
absl::StatusOr<EnginePort> start_ethdev_port(uint16_t ethdev, const net::MacAddress& next_hop, uint8_t index,
                                             unsigned workers, rte_mempool* pool);

void close_ethdev_port(const EnginePort& port);

}  // namespace guideway::control
