#include "dataplane/path/trace.h"

#include "dataplane/path/affinity.h"
#include "dataplane/path/exception.h"

namespace guideway::path {

namespace {

net::FlowKey6 flow_of(const Packet& p) { return p.family == Family::kIpv4 ? net::widen(p.key4) : p.key6; }

net::IpAddress widen(net::Be32 a) { return net::IpAddress::v4(a); }
net::IpAddress widen(const net::IpAddress& a) { return a; }

}  // namespace

template <typename Entry>
void Trace::note_entry(const Packet& p, const ConnectionTable<Entry>& table, const Tables& t) {
  const Found<Entry> f = table.at(p.slot);
  const Entry& e = *f.entry;
  const auto now = static_cast<Tick>(holdings->counters.tick.read());
  const bool outdated = e.direction == Direction::kForward && e.epoch != t.services[e.service].epoch;
  known = {f.state, table.idle_time(p.slot, now), e.direction, e.mode, e.service, e.real, outdated};
}

template <typename Entry>
void Trace::note_translation(const Packet& p, const ConnectionTable<Entry>& table) {
  const auto& to = table.entry(p.slot).translation;
  translated = net::FlowKey6{widen(to.source), widen(to.destination), to.source_port, to.destination_port, p.protocol};
}

void Trace::note_pick(const Packet& p, const Tables& t) {
  const Service& s = t.services[p.service];
  if (s.table_size == 0) return;
  Pick n{.slot = gw_slot(balance_hash(p, s, t.hash_seed), s.table_size)};
  const uint16_t value = t.slots[s.table_offset + n.slot];
  n.moved = (value & kSlotMoved) != 0;
  n.real = s.reals[value & kSlotOrdinal];
  n.excepted = n.moved && !p.opens() && find_exception(t.exceptions, flow_of(p)) == p.real;
  pick = n;
}

void Trace::note_way(const Packet& p, const Tables& t) {
  const Route& route = t.routes[p.route];
  way = Way{*p.hop, 0, route.count};
  for (uint32_t i = 0; i < route.count; ++i)
    if (&t.next_hops[route.hops[i]] == p.hop) way->number = i;
}

void Trace::note(Stage stage, const Tables& t) {
  const Packet& p = burst.packets[0];
  after[static_cast<size_t>(stage)] = p;
  if (stage < Stage::kTrack) return;
  const bool v4 = p.family == Family::kIpv4;
  if (stage == Stage::kTrack && p.slot)
    v4 ? note_entry(p, holdings->connections.v4, t) : note_entry(p, holdings->connections.v6, t);
  if (p.service != kNone<ServiceIndex>) service = t.services[p.service];
  if (stage == Stage::kBalance && p.decided) note_pick(p, t);
  if (stage != Stage::kRoute || !p.live()) return;
  note_way(p, t);
  if (p.mode == Mode::kNat && p.slot && !p.answer)
    v4 ? note_translation(p, holdings->connections.v4) : note_translation(p, holdings->connections.v6);
}

}  // namespace guideway::path
