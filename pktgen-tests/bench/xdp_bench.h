// The kernel's way of balancing: what the XDP program costs a packet by the kernel's own statistics, net of a program
// that does nothing, run over single packets of flows in random order.
#pragma once

#include <cstdint>

namespace guideway::bench {

struct XdpCost {
  double ns_per_packet = 0;  // gross; median of the runs
  double ns_min = 0;
  double ns_max = 0;
  double empty_ns = 0;  // of the empty program in the same runs
  uint64_t packets = 0;
  uint64_t lost = 0;  // that the program did something else with
};

// Prefixes whose sources are dropped, of so many lengths, about as many of each.
struct Denied {
  uint32_t prefixes = 0;
  uint32_t lengths = 0;
  bool v4 = true;
};

// Packets from them, of a prefix in random order each. Likewise.
XdpCost run_xdp_denied(const Denied& denied, unsigned runs);

// With `denied`, from none of which the packets come. dsr-ipip, TCP over IPv4, 64 bytes, 100 reals. Needs root; aborts
// with a sentence without.
XdpCost run_xdp(uint32_t flows, const Denied& denied, unsigned runs);

}  // namespace guideway::bench
