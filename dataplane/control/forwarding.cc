#include "dataplane/control/forwarding.h"

#include <unordered_set>
#include <utility>

#include "dataplane/control/routing/networks.h"

namespace guideway::control {

namespace {

net::Prefix host(const net::IpAddress& a) { return prefix_of(a, address_bits(a)); }

bool is_default(const net::Prefix& p) { return p.length == 0; }

}  // namespace

absl::StatusOr<std::unique_ptr<Forwarding>> Forwarding::create(const Rib& rib, Publisher& publisher,
                                                               Reclaimer& reclaimer, const FibLimits& limits) {
  std::unique_ptr<Forwarding> f(new Forwarding(rib, publisher));
  auto builder = FibBuilder::create(limits, {.publish = [&publisher](const path::Fib* fib) { publisher.set_fib(fib); },
                                             .wait_until_quiescent = [&reclaimer] { reclaimer.wait(); }});
  if (!builder.ok()) return builder.status();
  f->builder_ = std::move(*builder);
  return f;
}

// What a prefix leads to now: a neighbour's own, a route's, a port's declared next hop, or nothing.
path::RouteIndex Forwarding::lead(const net::Prefix& prefix) {
  NextHops& hops = publisher_.next_hops();
  Resolution r = rib_.route(prefix);
  if (r.kind == RouteKind::kNone && prefix == host(prefix.address)) {
    const Resolution way = rib_.lookup(prefix.address);
    if (way.on_link && !way.hops.empty() && rib_.neighbor(way.hops.front().ifindex, prefix.address))
      return hops.acquire(way, prefix.address, NextHops::Interest::kPassing);
  }
  if (r.kind == RouteKind::kNone && is_default(prefix))
    if (const auto declared = hops.declared()) r = *declared;
  if (r.kind == RouteKind::kNone) return path::kNoRoute;
  // A routed next hop is kept resolved, for it serves many; a link's own prefix names no neighbour.
  return hops.acquire(r, r.on_link ? net::IpAddress{} : prefix.address, NextHops::Interest::kLasting);
}

std::vector<net::Prefix> Forwarding::prefixes() const {
  std::unordered_set<net::Prefix> all{{net::IpAddress::v4(net::Be32{0}), 0}, {net::IpAddress{}, 0}};
  rib_.for_each_route([&](const net::Prefix& p, const Resolution&) { all.insert(p); });
  rib_.for_each_neighbor([&](const NeighborKey& k, const net::MacAddress&) { all.insert(host(k.address)); });
  for (const auto& [prefix, index] : held_) all.insert(prefix);
  return {all.begin(), all.end()};
}

// As much as there is room for: where a batch doesn't fit, its halves may.
absl::Status Forwarding::apply(std::span<const FibEntry> entries) {
  const absl::Status s = builder_->apply(entries);
  if (!s.ok() && entries.size() > 1) {
    absl::Status both = apply(entries.first(entries.size() / 2));
    both.Update(apply(entries.subspan(entries.size() / 2)));
    return both;
  }
  for (const FibEntry& e : entries) {
    path::RouteIndex old = e.index;  // what wasn't taken isn't held
    if (s.ok()) {
      const auto it = held_.find(e.prefix);
      old = it == held_.end() ? path::kNoRoute : it->second;
      if (e.index == path::kNoRoute)
        held_.erase(e.prefix);
      else
        held_[e.prefix] = e.index;
    }
    publisher_.next_hops().release(old);
  }
  return s;
}

absl::Status Forwarding::update(const Changes& changes) { return status_ = follow(changes); }

absl::Status Forwarding::follow(const Changes& changes) {
  std::vector<net::Prefix> touched = changes.routes;
  for (const NeighborKey& k : changes.neighbors) touched.push_back(host(k.address));
  // A neighbour has a host route where the route around it leads to its link, which another may do now.
  if (!changes.routes.empty()) {
    const Networks changed(changes.routes);
    rib_.for_each_neighbor([&](const NeighborKey& k, const net::MacAddress&) {
      if (changed.contain(k.address)) touched.push_back(host(k.address));
    });
  }
  // What didn't fit before may fit now.
  if (changes.all || !status_.ok()) touched = prefixes();
  std::vector<FibEntry> entries;
  for (const net::Prefix& p : touched) {
    const path::RouteIndex now = lead(p);
    const auto it = held_.find(p);
    if (now == (it == held_.end() ? path::kNoRoute : it->second))
      publisher_.next_hops().release(now);  // acquired twice
    else
      entries.push_back({p, now});
  }
  if (entries.empty()) return absl::OkStatus();
  publisher_.publish();  // rows before what points at them
  const absl::Status s = apply(entries);
  publisher_.publish();
  return s;
}

}  // namespace guideway::control
