// rtnetlink messages → events. Pure: no socket. Bytes that are too short or make no sense yield no event.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "dataplane/control/routing/events.h"

namespace guideway::control {

struct Decoded {
  std::vector<Event> events;
  size_t malformed = 0;      // messages cut short or with attributes of wrong sizes
  bool done = false;         // end of a dump, or an acknowledgement
  int error = 0;             // errno of an NLMSG_ERROR or of a dump's end
  bool interrupted = false;  // the state changed under the dump, which must be repeated (NLM_F_DUMP_INTR)
};

// Appends what one datagram says to `out`. `datagram` begins at an address aligned to 4, as netlink's headers do.
// Left out in silence: other tables than main and local; routes by source or type of service; bridges' messages;
// proxy and multicast neighbours; cloned routes; and IPv4-mapped IPv6, which never appears on the wire.
void decode(std::span<const std::byte> datagram, Decoded& out);

}  // namespace guideway::control
