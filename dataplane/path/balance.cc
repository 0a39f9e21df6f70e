#include "dataplane/path/balance.h"

#include <rte_hash.h>

namespace guideway::path {

namespace {

using net::DropReason;

// The real of a connection that is off its Maglev slot, or none.
RealIndex exception(const Packet& p, const Tables& t) {
  const net::FlowKey6 key = p.family == Family::kIpv4 ? net::widen(p.key4) : p.key6;
  void* value = nullptr;
  if (rte_hash_lookup_with_hash_data(t.exceptions, &key, static_cast<hash_sig_t>(p.flow_hash), &value) < 0)
    return kNone<RealIndex>;
  return static_cast<RealIndex>(reinterpret_cast<uintptr_t>(value));
}

RealIndex pick(const Packet& p, const Service& service, const Tables& t) {
  const uint16_t slot = t.slots[service.table_offset + gw_slot(p.flow_hash, service.table_size)];
  // A SYN begins a new flow, whatever an earlier one of the same ports was off to.
  if ((slot & kSlotMoved) != 0 && !p.is_syn()) {
    const RealIndex r = exception(p, t);
    if (r != kNone<RealIndex> && (p.is_tcp() || t.reals[r].state != lb::RealState::kGone)) return r;
  }
  return service.reals[slot & kSlotOrdinal];
}

// nat without an entry can't join in the middle: the server knows the flow by a port that nobody remembers.
bool joins_midway(const Packet& p, const Service& service) {
  return service.mode == Mode::kNat && p.is_tcp() && !p.is_syn();
}

void decide(Packet& p, const Tables& t) {
  const Service& service = t.services[p.service];
  if (joins_midway(p, service)) return p.drop(DropReason::NO_CONNECTION);
  if (p.real == kNone<RealIndex> || t.reals[p.real].state == lb::RealState::kGone) {
    if (service.table_size == 0) return p.drop(DropReason::NO_BACKEND);
    p.real = pick(p, service, t);
  }
  p.mode = service.mode;
  p.route = t.reals[p.real].route;
  p.decided = p.learn = true;
}

}  // namespace

void balance(Burst& burst, const Tables& t) {
  for (Packet& p : burst.all())
    if (p.live() && !p.decided) decide(p, t);
}

}  // namespace guideway::path
