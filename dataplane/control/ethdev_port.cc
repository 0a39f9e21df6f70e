#include "dataplane/control/ethdev_port.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_log.h>

#include <algorithm>

#include "log/trouble.h"

namespace guideway::control {

namespace {

constexpr uint16_t kDescriptors = 1024;

// A memif's two ends must have as many pairs of rings, and one is what VPP and DPDK make unasked. Of queues beyond the
// far end's DPDK doesn't tell, and has them read and write the memory of the first (rte_eth_memif.c).
constexpr unsigned kMemifQueues = 1;

// Drivers that don't say why return -1, which would read as EPERM.
std::string reason(int error) { return error == -1 ? "the driver refuses" : rte_strerror(-error); }

absl::Status failed(const std::string& name, const char* what, int error,
                    const char* remedy = "see that its arguments are as DPDK's guide to its driver has them") {
  return log::failure(absl::StatusCode::kInternal, absl::StrCat("port ", name, ": cannot ", what, ": ", reason(error)),
                      remedy);
}

// DPDK and its drivers log lines of their own when they fail; our one sentence says it.
template <typename F>
int quietly(F call) {
  const uint32_t level = rte_log_get_global_level();
  rte_log_set_global_level(RTE_LOG_CRIT);
  const int result = call();
  rte_log_set_global_level(level);
  return result;
}

std::string name_of(uint16_t ethdev) {
  char name[RTE_ETH_NAME_MAX_LEN] = "?";
  rte_eth_dev_get_name_by_port(ethdev, name);
  return name;
}

}  // namespace

absl::StatusOr<EnginePort> open_ethdev_port(const std::string& devargs, const net::MacAddress& next_hop, uint8_t index,
                                            unsigned workers, rte_mempool* pool) {
  if (const int e = quietly([&] { return rte_dev_probe(devargs.c_str()); }); e < 0)
    return log::failure(absl::StatusCode::kInvalidArgument,
                        absl::StrCat("port dpdk:", devargs, ": DPDK can't make it: ", reason(e)),
                        "give a driver and its arguments, with files that there are, such as "
                        "net_memif0,role=server,socket=/run/memif.sock or net_pcap0,rx_pcap=in.pcap,tx_pcap=out.pcap");
  rte_dev_iterator iterator;
  uint16_t ethdev = RTE_MAX_ETHPORTS;
  const std::string name = devargs.substr(0, devargs.find(','));
  RTE_ETH_FOREACH_MATCHING_DEV(ethdev, devargs.c_str(), &iterator) {
    rte_eth_iterator_cleanup(&iterator);
    break;
  }
  if (ethdev == RTE_MAX_ETHPORTS && rte_eth_dev_get_port_by_name(name.c_str(), &ethdev) != 0)
    return log::failure(absl::StatusCode::kInvalidArgument,
                        absl::StrCat("port dpdk:", devargs, ": not an Ethernet device"),
                        "give a driver of Ethernet devices, such as net_memif0");
  return start_ethdev_port(ethdev, next_hop, index, workers, pool);
}

absl::StatusOr<EnginePort> start_ethdev_port(uint16_t ethdev, const net::MacAddress& next_hop, uint8_t index,
                                             unsigned workers, rte_mempool* pool) {
  EnginePort port;
  port.name = name_of(ethdev);
  port.kind = "dpdk";
  rte_eth_dev_info info;
  if (const int e = rte_eth_dev_info_get(ethdev, &info); e != 0) return failed(port.name, "be asked what it is", e);
  const bool memif = port.name.starts_with("net_memif");
  const unsigned wanted = memif ? kMemifQueues : workers;
  const auto queues = static_cast<uint16_t>(std::min<unsigned>({wanted, info.max_rx_queues, info.max_tx_queues}));
  const rte_eth_conf conf{};
  if (const int e = rte_eth_dev_configure(ethdev, queues, queues, &conf); e != 0)
    return failed(port.name, "be configured", e);
  const int socket = std::max(0, rte_eth_dev_socket_id(ethdev));
  for (uint16_t q = 0; q < queues; ++q) {
    if (const int e = rte_eth_rx_queue_setup(ethdev, q, kDescriptors, static_cast<unsigned>(socket), nullptr, pool);
        e != 0)
      return failed(port.name, "set up a receive queue", e);
    if (const int e = rte_eth_tx_queue_setup(ethdev, q, kDescriptors, static_cast<unsigned>(socket), nullptr); e != 0)
      return failed(port.name, "set up a transmit queue", e);
    port.queues.push_back(std::make_unique<path::PortQueue>(path::EthdevQueue(ethdev, q)));
  }
  if (const int e = quietly([&] { return rte_eth_dev_start(ethdev); }); e != 0)
    return memif ? failed(port.name, "be started", e, "start its server first, which a memif's client needs")
                 : failed(port.name, "be started", e);
  rte_ether_addr mac{};
  rte_eth_macaddr_get(ethdev, &mac);
  uint16_t mtu = 1500;
  rte_eth_dev_get_mtu(ethdev, &mtu);
  port.facts.index = index;
  port.facts.mtu = mtu;
  std::copy_n(mac.addr_bytes, 6, port.facts.mac.bytes.begin());
  port.facts.declared = next_hop;
  return port;
}

void close_ethdev_port(const EnginePort& port) {
  uint16_t ethdev;
  if (port.kind != "dpdk" || rte_eth_dev_get_port_by_name(port.name.c_str(), &ethdev) != 0) return;
  rte_eth_dev_stop(ethdev);
  rte_eth_dev_close(ethdev);
}

}  // namespace guideway::control
