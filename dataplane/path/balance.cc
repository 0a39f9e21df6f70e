#include "dataplane/path/balance.h"

#include "dataplane/path/exception.h"

namespace guideway::path {

namespace {

using net::DropReason;

RealIndex pick(const Packet& p, const Service& service, const Tables& t) {
  const uint16_t slot = t.slots[service.table_offset + gw_slot(p.flow_hash, service.table_size)];
  // A SYN begins a new flow, whatever an earlier one of the same ports was off to.
  if ((slot & kSlotMoved) != 0 && !p.opens()) {
    const net::FlowKey6 key = p.family == Family::kIpv4 ? net::widen(p.key4) : p.key6;
    const RealIndex r = find_exception(t.exceptions, key);
    if (r != kNone<RealIndex> && (p.connected() || t.reals[r].state != lb::RealState::kGone)) return r;
  }
  return service.reals[slot & kSlotOrdinal];
}

// nat without an entry can't join in the middle: the server knows the flow by a port that nobody remembers.
bool joins_midway(const Packet& p, const Service& service) {
  return service.mode == Mode::kNat && !p.opens() && (p.connected() || p.kind == Kind::kIcmpError);
}

void decide(Packet& p, const Tables& t) {
  const Service& service = t.services[p.service];
  if (joins_midway(p, service)) return p.drop(DropReason::NO_CONNECTION);
  if (p.real == kNone<RealIndex>) {  // else the service's mode has changed, and its connections keep their reals
    if (service.table_size == 0) return p.drop(DropReason::NO_BACKEND);
    p.real = pick(p, service, t);
  }
  p.mode = service.mode;
  p.route = t.reals[p.real].route;
  p.decided = true;
  p.learn = p.kind != Kind::kIcmpError;
}

}  // namespace

void balance(Burst& burst, const Tables& t) {
  for (Packet& p : burst.all())
    if (p.live() && !p.decided) decide(p, t);
}

}  // namespace guideway::path
