// Known connections: what to do was decided by their first packet.
#pragma once

#include "dataplane/path/burst.h"
#include "dataplane/path/connections.h"
#include "dataplane/path/hash.h"
#include "dataplane/path/tables.h"

namespace guideway::path {

// Hashes each packet's flow, finds its entry and judges whether it still holds (reference, "what a real's state does to
// a packet"). Decided packets have real, mode and direction; the others go on to be decided, with `slot` set if an
// entry is to be replaced and `real` set if it is to be kept.
void track(Burst& burst, Connections& connections, const Tables& t, HashSeeds seeds, Tick now);

// What a packet that opens, closes, resets or answers makes of its connection's state.
ConnectionState changed_state(const Packet& p, ConnectionState state, Direction direction);

// What a packet of a connection makes of its state; most change nothing.
inline ConnectionState next_state(const Packet& p, ConnectionState state, Direction direction) {
  if (p.effect == 0 && state != ConnectionState::kSetup) [[likely]]
    return state;
  return changed_state(p, state, direction);
}

}  // namespace guideway::path
