// VIP → real, for what no connection has decided.
#pragma once

#include "dataplane/path/burst.h"
#include "dataplane/path/connections.h"
#include "dataplane/path/tables.h"

namespace guideway::path {

// nat without an entry can't join in the middle: the server knows the flow by a port that nobody remembers.
// But it goes on by an entry that is only judged again.
inline bool joins_midway(const Packet& p, const Service& service) {
  const bool known = p.real != kNone<RealIndex> && p.mode == Mode::kNat;
  return service.mode == Mode::kNat && !p.opens() && (p.connected() || p.kind == Kind::kIcmpError) && !known;
}

// `connections` have the clients of services with session affinity.
void balance(Burst& burst, const Connections& connections, const Tables& t, uint64_t table_seed, Tick now);

}  // namespace guideway::path
