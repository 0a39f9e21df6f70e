// The kinds of port that a worker polls, told apart by a variant. Each queue belongs to one worker, which alone calls
// its methods. What is sent is no longer the caller's; what isn't accepted still is.
#pragma once

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <cstdint>
#include <span>
#include <variant>

#include "dataplane/path/af_xdp_queue.h"

namespace guideway::path {

// A queue of a DPDK port (memif, pcap, ring, null).
class EthdevQueue {
 public:
  EthdevQueue(uint16_t ethdev, uint16_t queue) : ethdev_(ethdev), queue_(queue) {}
  unsigned receive(std::span<rte_mbuf*> out) {
    return rte_eth_rx_burst(ethdev_, queue_, out.data(), static_cast<uint16_t>(out.size()));
  }
  unsigned send(std::span<rte_mbuf*> packets) {
    return rte_eth_tx_burst(ethdev_, queue_, packets.data(), static_cast<uint16_t>(packets.size()));
  }
  void flush() {}
  void stamp(uint64_t) {}

 private:
  uint16_t ethdev_;
  uint16_t queue_;
};

using PortQueue = std::variant<AfXdpQueue, EthdevQueue>;

// Calls `f` with the queue, whatever its kind. std::visit would bring an exception with it.
template <typename F>
auto with(PortQueue& queue, F f) {
  if (auto* q = std::get_if<AfXdpQueue>(&queue)) return f(*q);
  return f(*std::get_if<EthdevQueue>(&queue));
}

}  // namespace guideway::path
