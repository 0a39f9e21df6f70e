// Prepared packets for the load-balancing benchmark: one header a flow, in random order.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/path/tables.h"
#include "pktgen-tests/rig/rig.h"

namespace guideway::bench {

struct Scenario {
  path::Mode mode = path::Mode::kDsrIpip;
  bool reply = false;  // nat: from the real back to the client
  bool tcp = true;
  bool v4 = true;
  bool mixed = false;  // the reals are of the other family
  uint16_t size = 64;  // of the frame, bytes
  uint32_t flows = 1'000;

  bool reals_v4() const { return v4 != mixed; }
  std::string name() const;  // "lb dsr-ipip tcp4 64B flows=1000", "lb dsr-gue tcp4in6 …"
};

// Ethernet, IP and TCP or UDP: all that the path reads or writes of a packet.
using Header = std::array<uint8_t, 80>;

// One for each flow, shuffled; the same for the same scenario.
std::vector<Header> client_headers(const Scenario& s);
// What the reals answer to `forwarded`, the frames that nat made of the clients'.
Header reply_to(const uint8_t* forwarded, bool v4);

// A service with 100 reals on port 1's link, all resolved.
void configure(rig::Rig& rig, const Scenario& s);

}  // namespace guideway::bench
