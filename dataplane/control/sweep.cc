#include "dataplane/control/sweep.h"

#include <algorithm>

#include "dataplane/path/affinity.h"

namespace guideway::control {

bool Sweep::step(uint32_t buckets) {
  wish_ |= publisher_.take_sweep_wish();
  if (!running_) {
    // Only once every worker has seen the tables, or it could still teach itself what they have moved.
    if (!wish_) return false;
    reclaimer_.collect();
    if (!reclaimer_.idle()) return true;
    begin();
  }
  while (table_ < workers_.size() * 2 && buckets > 0) {
    const path::Worker& w = *workers_[table_ / 2];
    const auto now = static_cast<path::Tick>(w.counters().tick.read());
    const bool more = table_ % 2 == 0 ? walk(w.connections().v4, now, buckets) : walk(w.connections().v6, now, buckets);
    if (more) return true;
    ++table_;
    bucket_ = 0;
  }
  if (table_ < workers_.size() * 2) return true;
  finish();
  return wish_;
}

void Sweep::begin() {
  wish_ = false;
  running_ = true;
  overflows_ = false;
  table_ = bucket_ = 0;
  retired_ = publisher_.retired();
  change_ = publisher_.table_changes();
  if (path::Recent* recent = publisher_.recent()) generation_ = recent->begin_generation();
  seen_reals_.clear();
  seen_services_.clear();
  off_slot_.clear();
  off_slot_hashes_.clear();
  begun_.take_in();
}

template <typename Entry>
bool Sweep::walk(const path::ConnectionTable<Entry>& table, path::Tick now, uint32_t& budget) {
  path::Peeked<Entry> seen;
  const path::IdleTimeouts& idle = publisher_.idle_timeouts();
  for (; bucket_ < table.buckets() && budget > 0; ++bucket_, --budget)
    for (uint32_t slot = 0; slot < 8; ++slot)
      if (table.peek(bucket_, slot, &seen, now, idle)) note(seen.entry);
  return bucket_ < table.buckets();
}

template <typename Entry>
void Sweep::note(const Entry& entry) {
  seen_reals_.insert(entry.real);
  seen_services_.insert(entry.service);
  // A nat flow has an owner, who has its entry.
  if (entry.mode == path::Mode::kNat || entry.direction == path::Direction::kNone) return;
  if (begun_.learnt(net::widen(entry.key), entry.real)) note_if_off(entry.key, entry.service, entry.real);
}

template <typename Key>
void Sweep::note_if_off(const Key& flow, path::ServiceIndex service, path::RealIndex real) {
  const uint64_t seed = publisher_.gateway().hash_seed;
  const auto hash_of = [&](bool affinity) {
    return affinity ? path::client_hash(flow, seed) : net::flow_hash(flow, seed);
  };
  const uint64_t hash = hash_of(publisher_.has_affinity(service));
  const path::RealIndex maglev = publisher_.maglev_pick(service, hash);
  if (maglev == path::kNone<path::RealIndex>) return;
  const BuiltTable* const former = publisher_.former_table(service);
  const bool off = maglev != real;
  if (!off && (former == nullptr || publisher_.maglev_pick(*former, hash_of(former->affinity)) == real)) return;
  const net::FlowKey6 key = net::widen(flow);
  if (!publisher_.exceptions().put(key, real)) {
    overflows_ = true;
    return;
  }
  if (off_slot_.insert(key).second && off) off_slot_hashes_[service].push_back(hash);
}

void Sweep::finish() {
  running_ = false;
  ++walks_;
  // Once more, for what the kernel has begun meanwhile goes by the tables of before.
  begun_.take_in();
  begun_.for_each([&](const net::FlowKey6& key, const Begun::Flow& flow) {
    seen_reals_.insert(flow.real);
    seen_services_.insert(flow.service);
    if (key.source.is_v4())
      note_if_off(net::narrow(key), flow.service, flow.real);
    else
      note_if_off(key, flow.service, flow.real);
  });
  overflowed_ = overflows_;
  if (path::Recent* recent = publisher_.recent()) recent->forget_before(generation_);
  // Before anything is forgotten that it goes by.
  publisher_.kernel_may_follow(change_);
  std::vector<net::FlowKey6> ended;
  publisher_.exceptions().for_each([&](const net::FlowKey6& key, path::RealIndex) {
    if (!off_slot_.contains(key)) ended.push_back(key);
  });
  for (const net::FlowKey6& key : ended) publisher_.exceptions().remove(key);
  // What changed meanwhile has marked slots that this walk knows nothing of; the next one clears them.
  wish_ |= publisher_.take_sweep_wish();
  if (!wish_) publisher_.set_moved(off_slot_hashes_);
  std::erase_if(retired_.reals, [&](const auto& real) { return seen_reals_.contains(real.first); });
  std::erase_if(retired_.services, [&](const auto& service) { return seen_services_.contains(service.first); });
  publisher_.reuse(retired_);
}

}  // namespace guideway::control
