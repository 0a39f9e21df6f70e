#include "dataplane/path/learn.h"

#include "dataplane/path/snat.h"

namespace guideway::path {

namespace {

using net::DropReason;

ConnectionState first_state(const Packet& p) {
  if (!p.is_tcp()) return ConnectionState::kUdp;
  return p.is_syn() ? ConnectionState::kTcpSetup : ConnectionState::kTcpEstablished;
}

// A flow that ends with this packet isn't worth an entry.
bool is_ending(const Packet& p) { return p.is_tcp() && (p.tcp_flags & (net::kTcpRst | net::kTcpFin)) != 0; }

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

// Same mode, only the service's epoch has moved on: the decision stands.
template <typename Entry>
bool renew(const Packet& p, ConnectionTable<Entry>& table, const Tables& t) {
  if (!p.slot) return false;
  Entry& e = table.entry(p.slot);
  if (e.mode != p.mode || e.real != p.real || e.direction != p.direction) return false;
  e.epoch = t.services[p.service].epoch;
  return true;
}

template <typename Entry>
void remember(Packet& p, const typename Entry::KeyType& key, ConnectionTable<Entry>& table, const Tables& t,
              const Learner& learner, Tick now) {
  if (!p.is_syn() && renew(p, table, t)) return;
  if (p.slot) table.erase(p.slot);
  // An earlier packet of this burst may have taught us the flow.
  p.slot = table.find(key, p.table_hash, now);
  if (p.slot) {
    p.real = table.entry(p.slot).real;
    p.route = t.reals[p.real].route;
    return;
  }
  Entry e = entry_for<Entry>(p, key, t);
  if (p.mode == Mode::kNat) {
    if (const DropReason r = open_nat(e, p, table, t, learner, now, &p.slot); r != DropReason::NONE) p.drop(r);
  } else if (!is_ending(p)) {
    p.slot = table.insert(e, p.table_hash, now, first_state(p));
  }
}

}  // namespace

void learn(Burst& burst, Connections& connections, const Tables& t, const Learner& learner, Tick now) {
  for (Packet& p : burst.all()) {
    if (!p.live() || !p.learn) continue;
    if (p.family == Family::kIpv4)
      remember<Connection4>(p, p.key4, connections.v4, t, learner, now);
    else
      remember<Connection6>(p, p.key6, connections.v6, t, learner, now);
  }
}

}  // namespace guideway::path
