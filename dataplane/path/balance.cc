#include "dataplane/path/balance.h"

#include "dataplane/path/affinity.h"
#include "dataplane/path/exception.h"

namespace guideway::path {

namespace {

using net::DropReason;

// That of a connection off its slot, if this is one's.
RealIndex exception_of(const Packet& p, const Tables& t) {
  const net::FlowKey6 key = p.family == Family::kIpv4 ? net::widen(p.key4) : p.key6;
  const RealIndex r = find_exception(t.exceptions, key);
  if (r == kNone<RealIndex> || p.connected() || t.reals[r].state != lb::RealState::kGone) return r;
  return kNone<RealIndex>;
}

RealIndex real_of(const Packet& p, const Tables& t, const Clients& c) {
  if (p.family == Family::kIpv4) return affine_real(p.key4, p.service, c.connections.v4, t, c.table_seed, c.now);
  return affine_real(p.key6, p.service, c.connections.v6, t, c.table_seed, c.now);
}

// Of a service that has a table. Inline, so that packets don't pay for what only traces ask.
[[gnu::always_inline]] inline Choice pick(const Packet& p, const Service& service, const Tables& t,
                                          const Clients& clients) {
  const uint64_t hash = balance_hash(p, service, t.hash_seed);
  const uint32_t slot = gw_slot(hash, service.table_size);
  const uint16_t value = t.slots[service.table_offset + slot];
  // A SYN begins a new flow, whatever an earlier one of the same ports was off to.
  const bool moved = (value & kSlotMoved) != 0;
  if (!p.opens() && moved)
    if (const RealIndex r = exception_of(p, t); r != kNone<RealIndex>) return {r, slot, Why::kException, moved};
  if (service.affinity != 0)
    if (const RealIndex r = real_of(p, t, clients); r != kNone<RealIndex>) return {r, slot, Why::kAffinity, moved};
  return {service.reals[value & kSlotOrdinal], slot, Why::kMaglev, moved};
}

// Whether the service is for this client. Judged before translation, which destroys the client's address.
bool admits(const Service& service, const Packet& p) {
  if (service.range_count == 0) [[likely]]
    return true;
  return lb::holds({service.ranges, service.range_count}, p.source()) != service.ranges_deny;
}

void decide(Packet& p, const Tables& t, const Clients& clients) {
  const Service& service = t.services[p.service];
  if (!admits(service, p)) return p.drop(DropReason::SOURCE_DENIED);
  if (joins_midway(p, service)) return p.drop(DropReason::NO_CONNECTION);
  p.off_slot = false;
  if (p.real == kNone<RealIndex>) {  // else the service's epoch has moved on, and its connections keep their reals
    if (service.table_size == 0) return p.drop(DropReason::NO_BACKEND);
    const Choice c = pick(p, service, t, clients);
    p.real = c.real;
    p.off_slot = c.moved || c.why == Why::kAffinity;
  }
  p.mode = service.mode;
  p.route = t.reals[p.real].route;
  p.decided = true;
  p.learn = p.kind != Kind::kIcmpError;
}

}  // namespace

Choice choose(const Packet& p, const Service& service, const Tables& t, const Clients& clients) {
  if (p.real != kNone<RealIndex>) return {p.real, 0, Why::kKept};
  return pick(p, service, t, clients);
}

void balance(Burst& burst, const Connections& connections, const Tables& t, uint64_t table_seed, Tick now) {
  const Clients clients{connections, table_seed, now};
  for (Packet& p : burst.all())
    if (p.live() && !p.decided) decide(p, t, clients);
}

}  // namespace guideway::path
