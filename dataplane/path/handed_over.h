// What a packet takes along from one worker to another: a dynamic field of its mbuf, registered by control.
#pragma once

#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>

#include <cstdint>

namespace guideway::path {

// Written by whoever hands it over, read by whoever takes it from a ring; of what comes from a port it means nothing.
struct HandedOver {
  uint32_t ports = 0;  // of a fragment's datagram, as they stand in the packet
  uint8_t protocol = 0;
  bool has_ports = false;
  uint8_t hops = 0;  // how often the flow's packet has been handed on
  uint8_t zero = 0;
};
static_assert(sizeof(HandedOver) == 8);

inline HandedOver& handed_over(rte_mbuf* mbuf, int offset) { return *RTE_MBUF_DYNFIELD(mbuf, offset, HandedOver*); }

}  // namespace guideway::path
