#include "dataplane/control/next_hops.h"

#include <algorithm>

namespace guideway::control {

namespace {

using net::DropReason;

// A DPDK port has no kernel interface; its hops carry this number, which no interface has.
int pseudo_ifindex(uint8_t port) { return -1 - port; }

DropReason why_unusable(RouteKind kind, bool has_hops) {
  return kind == RouteKind::kUnicast && has_hops ? DropReason::NONE : DropReason::NO_ROUTE;
}

bool equal(const path::NextHop& a, const path::NextHop& b) {
  return a.unusable == b.unusable && a.port == b.port && a.mtu == b.mtu && a.vlan == b.vlan &&
         a.destination == b.destination && a.source == b.source;
}

}  // namespace

NextHops::NextHops(const Rib& rib, std::vector<PortFacts> ports, Reclaimer& reclaimer, Keep keep)
    : rib_(rib), ports_(std::move(ports)), reclaimer_(reclaimer), keep_(std::move(keep)) {
  routes_.edit(routes_.allocate(), reclaimer_) = {};  // kNoRoute
}

const PortFacts* NextHops::port(int ifindex) const {
  for (const PortFacts& p : ports_)
    if (p.ifindex == ifindex || pseudo_ifindex(p.index) == ifindex) return &p;
  return nullptr;
}

// A VLAN's packets leave by the port that it is on, with one tag: a VLAN on a VLAN isn't followed.
const PortFacts* NextHops::port_below(const Link* link) const {
  return link == nullptr || link->vlan == 0 || link->parent == 0 ? nullptr : port(link->parent);
}

std::optional<Resolution> NextHops::declared() const {
  for (const PortFacts& p : ports_)
    if (p.declared)
      return Resolution{.kind = RouteKind::kUnicast,
                        .on_link = true,
                        .hops = {{pseudo_ifindex(p.index), {}, 1}},
                        .source = {},
                        .mtu = p.mtu};
  return std::nullopt;
}

path::NextHop NextHops::row_of(const NeighborKey& key) const {
  path::NextHop row;
  const PortFacts* p = port(key.ifindex);
  const Link* link = rib_.link(key.ifindex);
  const bool tagged = p == nullptr;
  if (tagged) p = port_below(link);
  if (p == nullptr) {
    row.unusable = DropReason::FOREIGN_PORT;
    return row;
  }
  row.port = p->index;
  row.mtu = p->mtu;
  row.source = tagged ? link->mac : p->mac;
  row.vlan = net::Be16{tagged ? link->vlan : uint16_t{0}};
  const auto mac = p->declared ? p->declared : rib_.neighbor(key.ifindex, key.address);
  row.unusable = mac ? DropReason::NONE : DropReason::NO_NEIGHBOR;
  if (mac) row.destination = *mac;
  if (link != nullptr) row.mtu = static_cast<uint16_t>(std::min<uint32_t>(link->mtu, 0xffff));
  return row;
}

// The zero address is a whole link, whose neighbours are asked for one by one.
bool NextHops::is_to_be_kept(const HopKey& key) const {
  const auto& [hop, interest] = key;
  if (interest != Interest::kLasting || hop.ifindex <= 0 || hop.address.is_zero()) return false;
  return port(hop.ifindex) != nullptr || port_below(rib_.link(hop.ifindex)) != nullptr;
}

path::NextHopIndex NextHops::acquire_hop(const HopKey& key) {
  auto [it, fresh] = hop_records_.try_emplace(key);
  if (fresh) {
    it->second.index = hops_.allocate();
    hops_.edit(it->second.index, reclaimer_) = row_of(key.first);
    it->second.kept = is_to_be_kept(key);
    if (it->second.kept) keep_(key.first, true);
  }
  ++it->second.uses;
  return it->second.index;
}

void NextHops::release_hop(const HopKey& key) {
  const auto it = hop_records_.find(key);
  if (--it->second.uses > 0) return;
  if (it->second.kept) keep_(key.first, false);
  reclaimer_.later([this, i = it->second.index] { hops_.release(i); });
  hop_records_.erase(it);
}

path::RouteIndex NextHops::acquire(const Resolution& r, const net::IpAddress& destination, Interest interest) {
  RouteKey key{r.kind, interest, {}};
  for (const Hop& h : r.hops) {
    if (key.hops.size() == path::kMaxEcmp) break;
    key.hops.push_back({h.ifindex, h.on_link() ? destination : h.next_hop});
  }
  const auto [it, fresh] = by_key_.try_emplace(key);
  if (fresh) {
    it->second = routes_.allocate();
    path::Route& row = routes_.edit(it->second, reclaimer_);
    row = {};
    row.unusable = why_unusable(r.kind, !key.hops.empty());
    for (const NeighborKey& h : key.hops) row.hops[row.count++] = acquire_hop({h, interest});
    route_records_[it->second] = {key, 0};
  }
  ++route_records_[it->second].uses;
  return it->second;
}

void NextHops::release(path::RouteIndex i) {
  if (i == path::kNoRoute) return;
  const auto it = route_records_.find(i);
  if (--it->second.uses > 0) return;
  const RouteKey key = it->second.key;
  for (const NeighborKey& h : key.hops) release_hop({h, key.interest});
  by_key_.erase(key);
  route_records_.erase(it);
  reclaimer_.later([this, i] { routes_.release(i); });
}

bool NextHops::refresh() {
  bool changed = false;
  for (const auto& [key, record] : hop_records_) {
    const path::NextHop row = row_of(key.first);
    if (equal(row, hops_[record.index])) continue;
    hops_.edit(record.index, reclaimer_) = row;
    changed = true;
  }
  return changed;
}

}  // namespace guideway::control
