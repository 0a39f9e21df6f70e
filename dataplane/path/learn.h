// New decisions become connection entries.
#pragma once

#include <algorithm>

#include "dataplane/path/burst.h"
#include "dataplane/path/connections.h"
#include "dataplane/path/recent.h"
#include "dataplane/path/snat_ports.h"
#include "dataplane/path/tables.h"
#include "dataplane/path/token_bucket.h"

namespace guideway::path {

// Who learns, and with what seed its tables hash.
struct Learner {
  unsigned worker = 0;
  uint64_t table_seed = 0;
  SnatPorts* ports = nullptr;
  Recent* recent = nullptr;  // null: no kernel balances
};

// A flow that ends with this packet isn't worth an entry.
inline bool is_ending(const Packet& p) { return p.resets() || p.closes(); }

// Whether the packet goes on by its entry as it stands, and later stages read that. Of what is to be learned these are
// the packets of which only the service's epoch has moved on.
template <typename Entry>
bool stands_on(const Packet& p, const Entry& e) {
  return !p.learn || (!p.opens() && e.mode == p.mode && e.real == p.real && e.direction == p.direction);
}

// Whether a packet goes by the entry at `slot`, or by its other direction at `back`.
inline bool goes_by(const Packet& q, Family family, SlotRef slot, SlotRef back) {
  return q.live() && q.slot && q.family == family && (q.slot == slot || q.slot == back);
}

// Whether another packet goes by the entry of `p`, or by its other direction at `back`.
inline bool shares(const Packet& q, const Packet& p, SlotRef back) {
  return &q != &p && goes_by(q, p.family, p.slot, back);
}

// Whether any of the burst goes by an entry.
template <typename Entry>
bool in_use(Burst& burst, Family family, const ConnectionTable<Entry>& table, SlotRef slot) {
  const SlotRef back = table.partner(slot);
  return std::ranges::any_of(burst.all(), [&](const Packet& q) { return goes_by(q, family, slot, back); });
}

// A packet that begins anew goes on by the old entry; the flow's next burst decides anew.
template <typename Entry>
void stay(Packet& p, ConnectionTable<Entry>& table, const Tables& t, Tick now) {
  const Entry& e = table.entry(p.slot);
  p.real = e.real;
  p.route = t.reals[e.real].route;
  p.mode = e.mode;
  p.direction = e.direction;
  p.learn = false;
  const auto found = table.at(p.slot);
  table.touch(found, now, p.opens() ? ConnectionState::kSetup : found.state);
}

// DSR forwards also what there is no room for, or what the flood guard doesn't admit: Maglev answers again. nat needs
// its entries: a connection in setup makes room for it, or it is dropped. Established ones stay in any case.
void learn(Burst& burst, Connections& connections, const Tables& t, const Learner& learner, TokenBucket& guard,
           Tick now);

}  // namespace guideway::path
