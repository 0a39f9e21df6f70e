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
// But it goes on by an entry that is only judged again.
bool joins_midway(const Packet& p, const Service& service) {
  const bool known = p.real != kNone<RealIndex> && p.mode == Mode::kNat;
  return service.mode == Mode::kNat && !p.opens() && (p.connected() || p.kind == Kind::kIcmpError) && !known;
}

// Whether the service is for this client. Judged before translation, which destroys the client's address.
bool admits(const Service& service, const Packet& p) {
  if (service.range_count == 0) [[likely]]
    return true;
  const net::IpAddress client = p.family == Family::kIpv4 ? net::IpAddress::v4(p.key4.source) : p.key6.source;
  return lb::holds({service.ranges, service.range_count}, client) != service.ranges_deny;
}

void decide(Packet& p, const Tables& t) {
  const Service& service = t.services[p.service];
  if (!admits(service, p)) return p.drop(DropReason::SOURCE_DENIED);
  if (joins_midway(p, service)) return p.drop(DropReason::NO_CONNECTION);
  if (p.real == kNone<RealIndex>) {  // else the service's epoch has moved on, and its connections keep their reals
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
