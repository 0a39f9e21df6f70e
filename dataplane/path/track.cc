#include "dataplane/path/track.h"

namespace guideway::path {

namespace {

// Whether a packet of a known flow begins a new decision.
bool begins_anew(const Packet& p, ConnectionState state, lb::RealState real) {
  if (p.opens()) return state != ConnectionState::kEstablished || real != lb::RealState::kReady;
  return p.kind != Kind::kIcmpError && !p.connected() && real == lb::RealState::kGone;
}

}  // namespace

ConnectionState next_state(const Packet& p, ConnectionState state, Direction direction) {
  if (!p.connected()) return state;
  if (p.resets()) return ConnectionState::kClosed;
  if (state == ConnectionState::kClosed || state == ConnectionState::kClosing) return state;
  if (p.closes()) return ConnectionState::kClosing;
  // The client's answer completes the handshake; of the server's, a DSR gateway sees nothing.
  if (direction == Direction::kForward && !p.opens()) return ConnectionState::kEstablished;
  return state;
}

namespace {

// What the connection was decided by has changed: it keeps its real, if `balance` lets it go on.
template <typename Entry>
void judge_again(Packet& p, const Entry& e) {
  p.real = e.real;
  p.mode = e.mode;
}

// Another worker has the SNAT port of this flow. A SYN of a new connection tries to find one here again.
template <typename Entry>
void follow_on(Packet& p, ConnectionTable<Entry>& table, SlotRef slot, Tick now) {
  const ConnectionState state = table.state(slot);
  p.service = table.entry(slot).service;
  if (p.opens() && state != ConnectionState::kEstablished) return;
  p.direction = Direction::kNext;
  if (p.kind != Kind::kIcmpError) table.touch(slot, now, next_state(p, state, Direction::kForward));
}

template <typename Entry>
void follow(Packet& p, ConnectionTable<Entry>& table, SlotRef slot, const Tables& t, Tick now) {
  const Entry& e = table.entry(slot);
  const Service& service = t.services[e.service];
  p.slot = slot;
  if (e.direction == Direction::kNext) [[unlikely]] {
    if (service.present) follow_on(p, table, slot, now);
    return;
  }
  const Real& real = t.reals[e.real];
  const ConnectionState state = table.state(slot);
  if (e.direction == Direction::kForward) {
    if (!service.present) return;  // its VIP is gone; another service may have it now
    p.service = e.service;
    if (begins_anew(p, state, real.state)) return;
    if (e.epoch != service.epoch) return judge_again(p, e);
  }
  p.real = e.real;
  p.service = e.service;
  p.mode = e.mode;
  p.direction = e.direction;
  p.route = real.route;
  p.decided = true;
  // Anybody can send an error: it neither keeps a connection alive nor changes it.
  if (p.kind == Kind::kIcmpError) [[unlikely]]
    p.learn = false;
  else
    table.touch(slot, now, next_state(p, state, e.direction));
}

template <typename Entry, typename Key>
void settle(Packet& p, const Key& key, ConnectionTable<Entry>& table, const Tables& t, Tick now) {
  if (const SlotRef slot = table.verify(key, p.table_hash, p.fit, now)) follow(p, table, slot, t, now);
}

}  // namespace

void track(Burst& burst, Connections& connections, const Tables& t, Tick now) {
  for (Packet& p : burst.all()) {
    if (!p.live()) continue;
    p.family == Family::kIpv4 ? connections.v4.prefetch_bucket(p.table_hash)
                              : connections.v6.prefetch_bucket(p.table_hash);
  }
  for (Packet& p : burst.all()) {
    if (!p.live()) continue;
    p.fit =
        p.family == Family::kIpv4 ? connections.v4.candidates(p.table_hash) : connections.v6.candidates(p.table_hash);
  }
  for (Packet& p : burst.all()) {
    if (!p.live() || p.decided) continue;  // an answer of our own
    p.family == Family::kIpv4 ? settle(p, p.key4, connections.v4, t, now) : settle(p, p.key6, connections.v6, t, now);
  }
}

}  // namespace guideway::path
