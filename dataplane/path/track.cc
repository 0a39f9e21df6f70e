#include "dataplane/path/track.h"

namespace guideway::path {

namespace {

// Whether a packet of a known flow begins a new decision.
bool begins_anew(const Packet& p, ConnectionState state, lb::RealState real) {
  if (p.opens()) return state != ConnectionState::kEstablished || real != lb::RealState::kReady;
  return real == lb::RealState::kGone && !p.connected() && p.kind != Kind::kIcmpError;
}

}  // namespace

ConnectionState changed_state(const Packet& p, ConnectionState state, Direction direction) {
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
void follow_on(Packet& p, ConnectionTable<Entry>& table, const Found<Entry>& found, Tick now) {
  p.service = found.entry->service;
  if (p.opens() && found.state != ConnectionState::kEstablished) return;
  p.direction = Direction::kNext;
  if (p.kind != Kind::kIcmpError) table.touch(found, now, next_state(p, found.state, Direction::kForward));
}

template <typename Entry>
void follow(Packet& p, ConnectionTable<Entry>& table, const Found<Entry>& found, const Tables& t, Tick now) {
  const Entry& e = *found.entry;
  const Service& service = t.services[e.service];
  if (e.direction == Direction::kNext) [[unlikely]] {
    if (service.present) follow_on(p, table, found, now);
    return;
  }
  const Real& real = t.reals[e.real];
  if (e.direction == Direction::kForward) {
    if (!service.present) return;  // its VIP is gone; another service may have it now
    p.service = e.service;
    if (begins_anew(p, found.state, real.state)) return;
    if (e.epoch != service.epoch) return judge_again(p, e);
  }
  p.real = e.real;
  p.service = e.service;
  p.mode = e.mode;
  p.direction = e.direction;
  p.route = real.route;
  p.decided = true;
  // Anybody can send an error: it neither keeps a connection alive nor changes it.
  if (p.kind != Kind::kIcmpError) [[likely]]
    table.touch(found, now, next_state(p, found.state, e.direction));
}

template <typename Entry, typename Key>
void settle(Packet& p, const Key& key, ConnectionTable<Entry>& table, const Tables& t, Tick now) {
  if (!p.slot) return;
  auto found = table.at(p.slot);
  if (!table.holds(found, key, now)) [[unlikely]] {
    p.slot = table.find(key, p.table_hash, now);
    if (!p.slot) return;
    found = table.at(p.slot);
  }
  follow(p, table, found, t, now);
}

}  // namespace

void track(Burst& burst, Connections& connections, const Tables& t, HashSeeds seeds, Tick now) {
  for (Packet& p : burst.all()) {
    if (!p.live()) continue;
    hash(p, seeds);
    p.family == Family::kIpv4 ? connections.v4.prefetch_bucket(p.table_hash)
                              : connections.v6.prefetch_bucket(p.table_hash);
  }
  for (Packet& p : burst.all()) {
    if (!p.live() || p.decided) continue;  // decided: an answer of our own
    p.slot = p.family == Family::kIpv4 ? connections.v4.guess(p.table_hash) : connections.v6.guess(p.table_hash);
  }
  bool all = true;
  for (Packet& p : burst.all()) {
    if (!p.live()) continue;
    p.family == Family::kIpv4 ? settle(p, p.key4, connections.v4, t, now) : settle(p, p.key6, connections.v6, t, now);
    all &= p.decided;
  }
  burst.undecided = !all;
}

}  // namespace guideway::path
