// The decision becomes bytes: translate or encapsulate, TTL, checksums.
#pragma once

#include "dataplane/path/burst.h"
#include "dataplane/path/connections.h"
#include "dataplane/path/tables.h"

namespace guideway::path {

// Outer headers: TTL 64, TOS copied, IPv4 id 0 with DF. Inner bytes and TTL stay untouched in DSR.
void apply(Burst& burst, const Connections& connections, const Tables& t);

}  // namespace guideway::path
