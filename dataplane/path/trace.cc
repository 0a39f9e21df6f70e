#include "dataplane/path/trace.h"

#include "dataplane/path/learn.h"

namespace guideway::path {

namespace {

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

// The choice is made once more: what it was made by hasn't changed yet.
void Trace::note_pick(const Packet& before, const Packet& p, const Tables& t) {
  const Service& s = t.services[p.service];
  const auto now = static_cast<Tick>(holdings->counters.tick.read());
  Pick n;
  n.choice = choose(before, s, t, {holdings->connections, holdings->learner.table_seed, now});
  if (n.choice.why != Why::kKept) {
    const uint16_t value = t.slots[s.table_offset + n.choice.slot];
    n.moved = (value & kSlotMoved) != 0;
    n.stands = s.reals[value & kSlotOrdinal];
  }
  pick = n;
}

// What `learn` will do if it leaves the packet with an entry, or with none.
template <typename Entry>
void Trace::expect(const Packet& p, const ConnectionTable<Entry>& table) {
  if (p.kind == Kind::kFragment) {
    if_remembered_ = Memory::kStands;
    if_not_ = Memory::kLaterFragment;
    return;
  }
  if (p.slot) if_remembered_ = stands_on(p, table.entry(p.slot)) ? Memory::kStands : Memory::kReplaced;
  if (is_ending(p))
    if_not_ = Memory::kEnds;
  else if (holdings->guard.empty())
    if_not_ = Memory::kFloodGuard;
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
  if (stage == Stage::kBalance && p.live()) {
    const Packet& before = *seen(Stage::kHand);
    if (!before.decided) note_pick(before, p, t);
    if (p.learn) v4 ? expect(p, holdings->connections.v4) : expect(p, holdings->connections.v6);
  }
  if (stage == Stage::kLearn && p.live() && seen(Stage::kBalance)->learn) memory = p.slot ? if_remembered_ : if_not_;
  if (stage != Stage::kRoute || !p.live()) return;
  note_way(p, t);
  if (p.mode == Mode::kNat && p.slot && !p.answer)
    v4 ? note_translation(p, holdings->connections.v4) : note_translation(p, holdings->connections.v6);
}

}  // namespace guideway::path
