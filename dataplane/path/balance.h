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

// Where the clients of services with session affinity are remembered.
struct Clients {
  const Connections& connections;
  uint64_t table_seed;
  Tick now;
};

enum class Why : uint8_t {
  kMaglev,
  kException,  // its connection is off its slot
  kAffinity,   // its client's
  kKept,       // its entry's: the service's epoch has moved on, and its connections keep their reals
};

struct Choice {
  RealIndex real = kNone<RealIndex>;
  uint32_t slot = 0;  // of the service's Maglev table; kKept: it isn't asked
  Why why = Why::kMaglev;
  bool moved = false;  // the slot has exceptions
};

// What `balance` decides of a packet that comes to it and goes on: a trace asks for it.
Choice choose(const Packet& p, const Service& service, const Tables& t, const Clients& clients);

// `connections` have the clients of services with session affinity.
void balance(Burst& burst, const Connections& connections, const Tables& t, uint64_t table_seed, Tick now);

}  // namespace guideway::path
