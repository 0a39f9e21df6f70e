#include "dataplane/path/learn.h"

#include "dataplane/path/affinity.h"
#include "dataplane/path/snat.h"
#include "dataplane/path/track.h"

namespace guideway::path {

namespace {

using net::DropReason;

ConnectionState first_state(const Packet& p) {
  if (!p.connected()) return ConnectionState::kUdp;
  return p.opens() ? ConnectionState::kSetup : ConnectionState::kEstablished;
}

template <typename Entry>
Entry entry_for(const Packet& p, const typename Entry::KeyType& key, const Tables& t) {
  Entry e;
  e.key = key;
  e.service = p.service;
  e.real = p.real;
  e.epoch = t.services[p.service].epoch;
  e.mode = p.mode;
  return e;
}

// Whether the entry that this packet replaces can go: not while another packet of the burst is to be translated by it,
// or by its other direction; what leads to the next worker translates nothing. Those that would replace it as well will
// find what this one learns.
template <typename Entry>
bool vacate(Burst& burst, const Packet& p, const ConnectionTable<Entry>& table) {
  const Entry& e = table.entry(p.slot);
  const SlotRef back = table.partner(p.slot);
  if (e.mode == Mode::kNat && e.direction != Direction::kNext)
    for (const Packet& q : burst.all())
      if (shares(q, p, back) && stands_on(q, e)) return false;
  for (Packet& q : burst.all())
    if (shares(q, p, back) && q.learn) q.slot = {};
  return true;
}

// Has an older entry of that state go, from where `hash` stands, unless a packet of this burst goes by it.
template <typename Entry>
bool shed(ConnectionState state, uint64_t hash, Burst& burst, Family family, ConnectionTable<Entry>& table, Tick now) {
  return table.shed(state, hash, now, [&](SlotRef s) { return in_use(burst, family, table, s); });
}

// What a flood leaves behind makes room. Nobody but who opened it loses by a connection in setup, and an honest
// client's handshake is over in no time; a client of session affinity loses its real only if that isn't Maglev's by
// now. Of a full table one group in a hundred has neither, so that others are asked as well.
template <typename Entry>
bool make_room(Burst& burst, const Packet& p, ConnectionTable<Entry>& table, Tick now) {
  constexpr unsigned kGroups = 4;
  uint64_t hash = p.table_hash;
  for (unsigned i = 0; i < kGroups; ++i, hash = gw_mix(hash))
    if (shed(ConnectionState::kSetup, hash, burst, p.family, table, now) ||
        shed(ConnectionState::kClient, hash, burst, p.family, table, now))
      return true;
  return false;
}

// Above the guard's rate a new flow takes the place of another in setup.
template <typename Entry>
DropReason remember_nat(Burst& burst, Packet& p, const typename Entry::KeyType& key, ConnectionTable<Entry>& table,
                        const Tables& t, const Learner& learner, TokenBucket& guard, Tick now) {
  if (!guard.take() && !shed(ConnectionState::kSetup, p.table_hash, burst, p.family, table, now))
    return DropReason::FLOOD_GUARD;
  auto e = entry_for<Entry>(p, key, t);
  DropReason r = open_nat(burst, e, p, table, t, learner, now, &p.slot);
  for (int entries = 2; r == DropReason::CONNECTIONS_FULL && entries > 0 && make_room(burst, p, table, now); --entries)
    r = open_nat(burst, e, p, table, t, learner, now, &p.slot);
  return r;
}

template <typename Entry>
void remember_dsr(Burst& burst, Packet& p, const typename Entry::KeyType& key, ConnectionTable<Entry>& table,
                  const Tables& t, TokenBucket& guard, Tick now) {
  if (is_ending(p) || !guard.take()) return;
  const auto e = entry_for<Entry>(p, key, t);
  p.slot = table.insert(e, p.table_hash, now, first_state(p));
  if (!p.slot && make_room(burst, p, table, now)) p.slot = table.insert(e, p.table_hash, now, first_state(p));
}

// A later fragment goes where its first one has gone, perhaps in this very burst; it teaches nothing.
template <typename Entry>
void follow_first(Packet& p, const typename Entry::KeyType& key, ConnectionTable<Entry>& table, const Tables& t,
                  Tick now) {
  p.slot = table.find(key, p.table_hash, now);
  if (p.slot && table.entry(p.slot).direction == Direction::kForward) {
    const Entry& e = table.entry(p.slot);
    p.real = e.real;
    p.route = t.reals[p.real].route;
    p.mode = e.mode;
  } else if (p.mode == Mode::kNat) {
    p.drop(DropReason::NO_CONNECTION);
  }
}

template <typename Entry>
void remember(Burst& burst, Packet& p, const typename Entry::KeyType& key, ConnectionTable<Entry>& table,
              const Tables& t, const Learner& learner, TokenBucket& guard, Tick now) {
  if (p.kind == Kind::kFragment) return follow_first(p, key, table, t, now);
  if (p.slot) {
    const Entry& e = table.entry(p.slot);
    if (stands_on(p, e)) {
      table.set_epoch(p.slot, t.services[p.service].epoch);
      const auto found = table.at(p.slot);
      table.touch(found, now, next_state(p, found.state, e.direction));
      return;
    }
    if (!vacate(burst, p, table)) return stay(p, table, t, now);
    table.erase(p.slot);
  }
  // An earlier packet of this burst may have taught us the flow.
  p.slot = burst.learned ? table.find(key, p.table_hash, now) : SlotRef{};
  if (p.slot) {
    p.real = table.entry(p.slot).real;
    p.route = t.reals[p.real].route;
    return;
  }
  if (p.mode == Mode::kNat) {
    const DropReason r = remember_nat(burst, p, key, table, t, learner, guard, now);
    if (r != DropReason::NONE) p.drop(r);
    burst.without_port |= r == DropReason::NO_SNAT_PORT;
  } else {
    remember_dsr(burst, p, key, table, t, guard, now);
    if (p.slot && p.off_slot && learner.recent != nullptr) learner.recent->note(p.flow_hash, p.real);
  }
  burst.learned |= bool{p.slot};
  if (p.live() && p.slot && t.services[p.service].affinity != 0)
    remember_client(p, key, table, learner.table_seed, now);
}

}  // namespace

void learn(Burst& burst, Connections& connections, const Tables& t, const Learner& learner, TokenBucket& guard,
           Tick now) {
  burst.learned = burst.without_port = false;
  for (Packet& p : burst.all()) {
    if (!p.live() || !p.learn) continue;
    if (p.family == Family::kIpv4)
      remember<Connection4>(burst, p, p.key4, connections.v4, t, learner, guard, now);
    else
      remember<Connection6>(burst, p, p.key6, connections.v6, t, learner, guard, now);
  }
}

}  // namespace guideway::path
