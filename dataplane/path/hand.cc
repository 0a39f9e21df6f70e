#include "dataplane/path/hand.h"

#include <algorithm>
#include <cstring>

#include "dataplane/path/affinity.h"
#include "dataplane/path/balance.h"
#include "dataplane/path/learn.h"
#include "dataplane/path/poison.h"

namespace guideway::path {

namespace {

using net::DropReason;

VipKey destination_of(const Packet& p) {
  if (p.family == Family::kIpv4) return {net::IpAddress::v4(p.key4.destination), p.key4.destination_port, p.protocol};
  return {p.key6.destination, p.key6.destination_port, p.protocol};
}

// What we sent ourselves, encapsulated or translated, and that comes back in: from an address of ours.
bool is_ours(const Tables& t, const net::IpAddress& source) {
  return (t.addresses->flags(source) & kAddressOurs) != 0 || t.encap_sources[0].holds(source) ||
         t.encap_sources[1].holds(source);
}

bool is_snat(const Tables& t, const VipKey& destination) {
  const uint16_t port = destination.port.host();
  for (uint32_t i = 0; i < t.snat_count; ++i)
    if (t.snat[i].address == destination.address && port >= t.snat[i].port_min && port <= t.snat[i].port_max)
      return true;
  return false;
}

// The worker that keeps the flow's state, `self` if anybody may; or drops it.
unsigned owner_of(Packet& p, const Tables& t, unsigned self, unsigned workers) {
  if (p.service == kNone<ServiceIndex>) {
    const VipKey destination = destination_of(p);
    p.service = t.vips->service_of(destination);
    if (p.service == kNone<ServiceIndex>) {
      if (is_snat(t, destination)) return t.snat_owner[destination.port.host() >> kSnatBlockBits];
      p.drop(DropReason::NO_VIP);
      return self;
    }
  }
  if (is_ours(t, p.source())) {
    p.drop(DropReason::LOOP);
    return self;
  }
  const Service& service = t.services[p.service];
  if (service.mode != Mode::kNat && service.affinity == 0) return self;
  // What is only judged again has its entry here.
  if (p.real != kNone<RealIndex> && p.mode == service.mode) return self;
  return gw_slot(balance_hash(p, service, t.hash_seed), workers);
}

// The worker that owned the flow while the service had affinity, or hadn't, as it is the other way now.
unsigned former_owner_of(const Packet& p, const Service& service, uint64_t seed, unsigned workers) {
  return gw_slot(service.affinity == 0 ? client_hash(p, seed) : p.flow_hash, workers);
}

// The flow begins anew with its owner: what is still known of it here would lead its next packets astray. But while
// others of the burst go by that, so does this one, and its next burst is handed over.
template <typename Entry>
void leave(Burst& burst, Packet& p, ConnectionTable<Entry>& table, const Tables& t, Tick now, auto&& go) {
  if (!p.slot || p.real != kNone<RealIndex>) return go();
  const SlotRef back = table.partner(p.slot);
  const auto shared = [&](const Packet& q) { return shares(q, p, back); };
  if (table.entry(p.slot).direction == Direction::kForward && std::ranges::any_of(burst.all(), shared)) {
    stay(p, table, t, now);
    p.decided = true;
    return;
  }
  go();
  if (p.fate != Fate::kHandedOver || p.kind == Kind::kFragment) return;  // a later one teaches nothing
  for (Packet& q : burst.all())
    if (shared(q)) q.slot = {};
  table.erase(p.slot);
}

// A fragment's owner can't read its ports from the packet.
HandedOver taken_along(const Packet& p) {
  HandedOver h{.protocol = p.protocol, .has_ports = true, .hops = static_cast<uint8_t>(p.hops + 1)};
  std::memcpy(&h.ports, p.family == Family::kIpv4 ? &p.key4.source_port : &p.key6.source_port, sizeof h.ports);
  return h;
}

// An entry that leads the flow's further packets to the next worker. Later fragments only follow their first one there.
template <typename Entry>
bool note_next(const Packet& p, const typename Entry::KeyType& key, ConnectionTable<Entry>& table, const Tables& t,
               Tick now) {
  if (table.find(key, p.table_hash, now)) return true;  // noted by an earlier packet of this burst
  if (p.kind == Kind::kFragment) return false;
  Entry e;
  e.key = key;
  e.service = p.service;
  e.epoch = t.services[p.service].epoch;
  e.direction = Direction::kNext;
  return bool{table.insert(e, p.table_hash, now, p.connected() ? ConnectionState::kSetup : ConnectionState::kUdp)};
}

}  // namespace

void give(Packet& p, const HandedOver& with, rte_ring* ring, int metadata, Counters& counters) {
  handed_over(p.mbuf, metadata) = with;
  make_whole(p.mbuf);
  if (rte_ring_sp_enqueue(ring, p.mbuf) != 0) return p.drop(DropReason::HANDOVER_FULL);
  p.fate = Fate::kHandedOver;
  counters.handed_over.add(1);
}

void hand(Burst& burst, Connections& connections, const Tables& t, const Handover& handover, Counters& counters,
          Tick now) {
  const auto to = [&](Packet& p, unsigned worker) {
    give(p, taken_along(p), handover.to[worker], handover.metadata, counters);
  };
  for (Packet& p : burst.all()) {
    if (!p.live() || p.decided) continue;
    const unsigned owner = owner_of(p, t, handover.self, handover.workers);
    if (!p.live()) continue;
    if (p.direction == Direction::kNext) {
      // To its owner, and to all others from there: then all have had their turn.
      p.hops >= handover.workers ? p.drop(DropReason::NO_CONNECTION) : to(p, handover.next());
    } else if (owner != handover.self && p.hops == 0) {
      // What was handed here stays here, even if the tables have changed on its way.
      const auto go = [&] { to(p, owner); };
      p.family == Family::kIpv4 ? leave(burst, p, connections.v4, t, now, go)
                                : leave(burst, p, connections.v6, t, now, go);
    } else if (p.service == kNone<ServiceIndex>) {
      p.drop(DropReason::NO_CONNECTION);  // to an SNAT port, and we know no flow of it
    } else if (const Service& service = t.services[p.service];
               service.owners_moved && p.hops < 2 && joins_midway(p, service)) [[unlikely]] {
      const unsigned former = former_owner_of(p, service, t.hash_seed, handover.workers);
      if (former != handover.self) to(p, former);
    }
  }
}

void hand_on(Burst& burst, Connections& connections, const Tables& t, const Handover& handover, Counters& counters,
             Tick now) {
  if (!burst.without_port || handover.workers == 1) [[likely]]
    return;
  const unsigned next = handover.next();
  for (Packet& p : burst.all()) {
    const auto reason = p.kind == Kind::kFragment ? DropReason::NO_CONNECTION : DropReason::NO_SNAT_PORT;
    if (p.fate != Fate::kDrop || !p.learn || p.reason != reason) continue;
    if (gw_slot(balance_hash(p, t.services[p.service], t.hash_seed), handover.workers) == next) continue;
    const bool noted = p.family == Family::kIpv4 ? note_next(p, p.key4, connections.v4, t, now)
                                                 : note_next(p, p.key6, connections.v6, t, now);
    if (!noted) continue;
    p.fate = Fate::kForward;
    give(p, taken_along(p), handover.to[next], handover.metadata, counters);
  }
}

}  // namespace guideway::path
