// One AF_XDP socket: receive and send without a copy between our buffers, for its UMEM is the mbuf pool.
// Brought up by dataplane/control/af_xdp_port.h.
#pragma once

#include <rte_mbuf.h>
#include <xdp/xsk.h>

#include <cstdint>
#include <span>

namespace guideway::path {

class AfXdpQueue {
 public:
  unsigned receive(std::span<rte_mbuf*> out);
  unsigned send(std::span<rte_mbuf*> packets);
  void flush();
};

}  // namespace guideway::path
