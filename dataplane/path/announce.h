// Answers on the link for addresses that are announced: ARP requests and neighbour solicitations, with the MAC address
// of the port that they came in by, in their own buffer, tagged alike. Unicast probes and duplicate address detection
// are answered too, so nobody else takes the address.
#pragma once

#include "dataplane/path/burst.h"
#include "dataplane/path/tables.h"

namespace guideway::path {

void announce(Burst& burst, const Tables& t);

}  // namespace guideway::path
