#include "dataplane/path/fragments.h"

#include <algorithm>
#include <cstring>

#include "dataplane/path/handed_over.h"
#include "dataplane/path/poison.h"

namespace guideway::path {

namespace {

using net::DropReason;

net::FlowKey6 datagram_of(const Packet& p) { return p.family == Family::kIpv4 ? net::widen(p.key4) : p.key6; }

// From here on a packet of its flow, which has not been handed on yet.
void become(Packet& p, const Told& told) {
  if (p.family == Family::kIpv4) {
    std::memcpy(static_cast<void*>(&p.key4.source_port), &told.ports, sizeof told.ports);
    p.key4.protocol = told.protocol;
  } else {
    std::memcpy(static_cast<void*>(&p.key6.source_port), &told.ports, sizeof told.ports);
    p.key6.protocol = told.protocol;
  }
  p.protocol = told.protocol;
}

void settle(Packet& p, Fragments& fragments) {
  const net::FlowKey6 datagram = datagram_of(p);
  if (p.kind == Kind::kFragment) {
    if (const Told* told = fragments.find(datagram, p.table_hash)) return become(p, *told);
    if (!fragments.wait(p.mbuf, datagram)) return p.drop(DropReason::FRAGMENTS_FULL);
    p.fate = Fate::kWaits;
    return;
  }
  Told told{.protocol = p.protocol};
  std::memcpy(&told.ports, p.l3 + p.l4_offset, sizeof told.ports);
  if (!fragments.remember(datagram, p.table_hash, told)) return p.drop(DropReason::FRAGMENTS_FULL);
  fragments.release(datagram, told);
  become(p, told);
}

}  // namespace

Told* Fragments::find(const net::FlowKey6& datagram, uint64_t hash) {
  for (uint16_t i = head_[hash % kDatagrams]; i != kNobody; i = datagrams_[i].next)
    if (datagrams_[i].key == datagram) return &datagrams_[i].told;
  return nullptr;
}

bool Fragments::remember(const net::FlowKey6& datagram, uint64_t hash, const Told& told) {
  if (Told* known = find(datagram, hash)) {
    *known = told;  // ids come again
    return true;
  }
  if (count_ == kDatagrams) {
    if (clock_ - datagrams_[oldest_].since < kWait) return false;
    forget_oldest();
  }
  const auto i = static_cast<uint16_t>((oldest_ + count_++) % kDatagrams);
  const auto chain = static_cast<uint16_t>(hash % kDatagrams);
  datagrams_[i] = {datagram, told, clock_, chain, head_[chain]};
  head_[chain] = i;
  return true;
}

// The oldest of all is the last of its chain.
void Fragments::forget_oldest() {
  uint16_t* link = &head_[datagrams_[oldest_].chain];
  while (*link != oldest_) link = &datagrams_[*link].next;
  *link = kNobody;
  oldest_ = (oldest_ + 1) % kDatagrams;
  --count_;
}

bool Fragments::wait(rte_mbuf* mbuf, const net::FlowKey6& datagram) {
  if (waiting_count_ + released_count_ == kWaiting) return false;
  make_whole(mbuf);
  waiting_[waiting_count_++] = {mbuf, datagram, turns_};
  return true;
}

void Fragments::release(const net::FlowKey6& datagram, const Told& told) {
  unsigned kept = 0;
  for (unsigned i = 0; i < waiting_count_; ++i) {
    if (waiting_[i].datagram == datagram) {
      handed_over(waiting_[i].mbuf, metadata_) = {.ports = told.ports, .protocol = told.protocol, .has_ports = true};
      released_[released_count_++] = waiting_[i].mbuf;
    } else {
      waiting_[kept++] = waiting_[i];
    }
  }
  waiting_count_ = kept;
}

unsigned Fragments::take_released(std::span<rte_mbuf*> out) {
  const auto n = std::min(released_count_, static_cast<unsigned>(out.size()));
  std::copy_n(released_.begin(), n, out.begin());
  std::copy(released_.begin() + n, released_.begin() + released_count_, released_.begin());
  released_count_ -= n;
  return n;
}

void Fragments::tick(uint32_t milliseconds) {
  ++turns_;
  clock_ += milliseconds;
  while (count_ > 0 && clock_ - datagrams_[oldest_].since >= kLife) forget_oldest();
}

rte_mbuf* Fragments::take_late() {
  if (waiting_count_ == 0 || turns_ - waiting_[0].since < kWait) return nullptr;
  rte_mbuf* late = waiting_[0].mbuf;
  std::copy(waiting_.begin() + 1, waiting_.begin() + waiting_count_, waiting_.begin());
  --waiting_count_;
  return late;
}

void match(Burst& burst, Fragments& fragments, HashSeeds seeds, const Handover& handover, Counters& counters) {
  if (!burst.has(Kind::kFirstFragment) && !burst.has(Kind::kFragment)) [[likely]]
    return;
  for (Packet& p : burst.all()) {
    if (!p.live() || !is_fragment(p.kind)) continue;
    hash(p, seeds);
    if (burst.handed_over) {
      const HandedOver& h = handed_over(p.mbuf, handover.metadata);
      h.has_ports ? become(p, {h.ports, h.protocol}) : settle(p, fragments);
      continue;
    }
    const unsigned owner = gw_slot(p.flow_hash, handover.workers);
    if (owner == handover.self)
      settle(p, fragments);
    else
      give(p, {}, handover.to[owner], handover.metadata, counters);
  }
}

}  // namespace guideway::path
