// Opening a nat flow: an SNAT port that no flow towards the same real uses, and an entry for each direction.
#pragma once

#include "dataplane/path/learn.h"

namespace guideway::path {

// Ports that are tried where SnatPorts has no room for the destination: with half of a worker's ports towards one real
// in use, 64 misses in a row are a matter of 1 in 10^19.
inline constexpr unsigned kSnatTries = 64;
// Ports that are looked at for one whose connection has ended, when no other is left.
inline constexpr unsigned kEndedTries = 128;
// Seconds without a packet after which a connection has ended that only one side has closed.
inline constexpr Tick kQuiet = 5;

// Inserts `forward` and its reply, both or none. `slot` is where the forward one stands.
template <typename Entry>
net::DropReason open_nat(Burst& burst, Entry& forward, const Packet& p, ConnectionTable<Entry>& table, const Tables& t,
                         const Learner& learner, Tick now, SlotRef* slot);

// Whether two entries are those that open_nat() makes of a flow: what another engine's memory holds may be damaged.
template <typename Entry>
bool is_nat_pair(const Entry& forward, const Entry& reply);

extern template bool is_nat_pair(const Connection4&, const Connection4&);
extern template bool is_nat_pair(const Connection6&, const Connection6&);
extern template net::DropReason open_nat(Burst&, Connection4&, const Packet&, ConnectionTable<Connection4>&,
                                         const Tables&, const Learner&, Tick, SlotRef*);
extern template net::DropReason open_nat(Burst&, Connection6&, const Packet&, ConnectionTable<Connection6>&,
                                         const Tables&, const Learner&, Tick, SlotRef*);

}  // namespace guideway::path
