// The Ethernet header of the next hop's link, before what the packet has become.
#pragma once

#include "dataplane/path/burst.h"

namespace guideway::path {

void frame(Burst& burst);

}  // namespace guideway::path
