// VIP → real, for what no connection has decided.
#pragma once

#include "dataplane/path/burst.h"
#include "dataplane/path/connections.h"
#include "dataplane/path/tables.h"

namespace guideway::path {

// `connections` have the clients of services with session affinity.
void balance(Burst& burst, const Connections& connections, const Tables& t, uint64_t table_seed, Tick now);

}  // namespace guideway::path
