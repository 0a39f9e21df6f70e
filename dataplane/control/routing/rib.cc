#include "dataplane/control/routing/rib.h"

#include <algorithm>

namespace guideway::control {
namespace {

using net::IpAddress;

// More changes than these in one go are told as `all`: going through everything is then the cheaper way.
constexpr size_t kMaxListedChanges = 1 << 16;

bool before(const Route& a, const Route& b) {
  return a.local_table != b.local_table ? a.local_table : a.metric < b.metric;
}

// IPv6 routes of one metric whose hops all have gateways are one multipath route, though the kernel may tell its hops
// one by one (rt6_qualify_for_ecmp).
bool merges(const Route& r) {
  return !r.prefix.address.is_v4() && r.kind == RouteKind::kUnicast && r.nexthop_id == 0 && !r.local_table &&
         std::none_of(r.hops.begin(), r.hops.end(), [](const Hop& h) { return h.on_link(); });
}

bool same_way(const Hop& a, const Hop& b) { return a.ifindex == b.ifindex && a.next_hop == b.next_hop; }

void merge_hops(Route& into, const Route& from) {
  for (const Hop& h : from.hops) {
    const auto known = std::find_if(into.hops.begin(), into.hops.end(), [&](const Hop& k) { return same_way(k, h); });
    if (known == into.hops.end())
      into.hops.push_back(h);
    else
      known->weight = h.weight;
  }
}

// Routes of equal rank, [first, last) of the list.
struct Equals {
  std::vector<Route>::iterator first, last;
};
Equals equals_of(std::vector<Route>& ranked, const Route& r) {
  const auto [first, last] = std::equal_range(ranked.begin(), ranked.end(), r, before);
  return {first, last};
}

// Each returns whether anything changed.
bool add_route(std::vector<Route>& ranked, const Route& r, Event::Action action) {
  const auto [first, last] = equals_of(ranked, r);
  const auto alike = std::find_if(first, last, [&](const Route& k) { return merges(k) == merges(r); });
  if (action == Event::Action::kReplace && first != last) {
    Route& target = alike != last ? *alike : *first;
    if (target == r) return false;
    target = r;
    return true;
  }
  if (merges(r) && alike != last) {
    Route merged = *alike;
    merge_hops(merged, r);
    if (merged == *alike) return false;
    *alike = std::move(merged);
    return true;
  }
  if (std::find(first, last, r) != last) return false;
  // IPv6 keeps equals in the order of their coming, IPv4 puts the new one in front unless it is appended.
  const bool in_front = action == Event::Action::kAdd && r.prefix.address.is_v4();
  ranked.insert(in_front ? first : last, r);
  return true;
}

bool remove_route(std::vector<Route>& ranked, const Route& r) {
  const auto [first, last] = equals_of(ranked, r);
  auto target = std::find(first, last, r);
  if (target == last && merges(r)) {
    target = std::find_if(first, last, merges);
    if (target == last) return false;
    const auto gone = [&](const Hop& k) {
      return std::any_of(r.hops.begin(), r.hops.end(), [&](const Hop& h) { return same_way(k, h); });
    };
    if (std::erase_if(target->hops, gone) == 0) return false;
    if (target->hops.empty()) ranked.erase(target);
    return true;
  }
  if (target == last)  // attributes that don't tell routes apart may differ
    target = std::find_if(first, last, [&](const Route& k) {
      return k.kind == r.kind && k.nexthop_id == r.nexthop_id && std::ranges::equal(k.hops, r.hops, same_way);
    });
  if (target == last) return false;
  ranked.erase(target);
  return true;
}

template <typename T>
void sort_unique(std::vector<T>& v) {
  std::sort(v.begin(), v.end());
  v.erase(std::unique(v.begin(), v.end()), v.end());
}

bool is_link_local(const IpAddress& a) {
  if (a.is_v4()) return a.bytes[12] == 169 && a.bytes[13] == 254;
  return a.bytes[0] == 0xfe && (a.bytes[1] & 0xc0) == 0x80;
}

bool covers(const Address& a, const IpAddress& other) { return contains(prefix_of(a.address, a.prefix_length), other); }

}  // namespace

void Rib::apply(const Event& event) {
  const bool removed = event.action == Event::Action::kRemove;
  if (const auto* link = std::get_if<Link>(&event.what)) apply_link(*link, removed);
  if (const auto* address = std::get_if<Address>(&event.what)) apply_address(*address, removed);
  if (const auto* route = std::get_if<Route>(&event.what)) apply_route(*route, event.action);
  if (const auto* nexthop = std::get_if<Nexthop>(&event.what)) apply_nexthop(*nexthop, removed);
  if (const auto* neighbor = std::get_if<Neighbor>(&event.what)) apply_neighbor(*neighbor, removed);
}

void Rib::apply_link(const Link& link, bool removed) {
  const auto known = links_.find(link.ifindex);
  if (removed ? known == links_.end() : known != links_.end() && known->second == link) return;
  if (known != links_.end() && known->second.up && (removed || !link.up)) stale_ = true;
  // A link without a hop over it changes no route; the scan is for one that has been seen before.
  const bool seen = known != links_.end();
  if (removed)
    links_.erase(known);
  else
    links_[link.ifindex] = link;
  if (seen) touch_routes_over(link.ifindex);
  changes_.links = true;
}

void Rib::apply_address(const Address& address, bool removed) {
  const auto known = std::find_if(addresses_.begin(), addresses_.end(), [&](const Address& a) {
    return a.ifindex == address.ifindex && a.address == address.address && a.prefix_length == address.prefix_length;
  });
  if (removed) {
    if (known == addresses_.end()) return;
    // Routes that prefer it as their source are gone, too (fib_sync_down_addr).
    stale_ |= address.address.is_v4();
    addresses_.erase(known);
  } else if (known == addresses_.end()) {
    addresses_.push_back(address);
  } else {
    if (*known == address) return;
    *known = address;
  }
  changes_.addresses = true;
}

void Rib::apply_route(const Route& route, Event::Action action) {
  if (action == Event::Action::kRemove) {
    const auto known = routes_.find(route.prefix);
    if (known == routes_.end() || !remove_route(known->second, route)) return;
    if (known->second.empty()) {
      routes_.erase(known);
      count_prefix(route.prefix, -1);
    }
  } else {
    const auto [entry, fresh] = routes_.try_emplace(route.prefix);
    if (fresh) count_prefix(route.prefix, 1);
    if (!add_route(entry->second, route, action)) return;
  }
  touch(route.prefix);
}

void Rib::apply_nexthop(const Nexthop& nexthop, bool removed) {
  const auto known = nexthops_.find(nexthop.id);
  if (removed ? known == nexthops_.end() : known != nexthops_.end() && known->second == nexthop) return;
  touch_routes_by(nexthop.id);
  if (removed) {
    nexthops_.erase(known);
    stale_ = true;  // its routes are gone without a word
  } else {
    nexthops_[nexthop.id] = nexthop;
  }
}

void Rib::apply_neighbor(const Neighbor& neighbor, bool removed) {
  const auto known = neighbors_.find(neighbor.key);
  const Neighbor old = known == neighbors_.end() ? Neighbor{.key = neighbor.key} : known->second;
  if (!removed)
    neighbors_[neighbor.key] = neighbor;
  else if (known != neighbors_.end())
    neighbors_.erase(known);
  // The kernel turns REACHABLE into STALE and back all the time; only what can be seen from outside is a change.
  const bool usable = neighbor.usable && !removed;
  if (usable == old.usable && (!usable || neighbor.mac == old.mac)) return;
  touch(neighbor.key);
}

void Rib::touch(const net::Prefix& prefix) {
  if (changes_.routes.size() >= kMaxListedChanges) changes_.all = true;
  if (!changes_.all) changes_.routes.push_back(prefix);
}

void Rib::touch(const NeighborKey& key) {
  if (changes_.neighbors.size() >= kMaxListedChanges) changes_.all = true;
  if (!changes_.all) changes_.neighbors.push_back(key);
}

void Rib::touch_routes_over(int ifindex) {
  for (const auto& [prefix, ranked] : routes_)
    if (std::any_of(ranked.begin(), ranked.end(), [&](const Route& r) { return leads_over(r, ifindex); }))
      touch(prefix);
}

void Rib::touch_routes_by(uint32_t nexthop_id) {
  const std::vector<uint32_t> ids = with_groups(nexthop_id);
  const auto by = [&](const Route& r) {
    return r.nexthop_id != 0 && std::find(ids.begin(), ids.end(), r.nexthop_id) != ids.end();
  };
  for (const auto& [prefix, ranked] : routes_)
    if (std::any_of(ranked.begin(), ranked.end(), by)) touch(prefix);
}

bool Rib::leads_over(const Route& route, int ifindex) const {
  const auto over = [&](const Hop& h) { return h.ifindex == ifindex; };
  if (route.nexthop_id == 0) return std::any_of(route.hops.begin(), route.hops.end(), over);
  const auto object = nexthops_.find(route.nexthop_id);
  if (object == nexthops_.end()) return false;
  if (object->second.group.empty()) return over(object->second.hop);
  return std::any_of(object->second.group.begin(), object->second.group.end(), [&](const NexthopMember& m) {
    const auto member = nexthops_.find(m.id);
    return member != nexthops_.end() && over(member->second.hop);
  });
}

std::vector<uint32_t> Rib::with_groups(uint32_t nexthop_id) const {
  std::vector<uint32_t> ids{nexthop_id};
  for (const auto& [id, object] : nexthops_)
    if (std::any_of(object.group.begin(), object.group.end(),
                    [&](const NexthopMember& m) { return m.id == nexthop_id; }))
      ids.push_back(id);
  return ids;
}

void Rib::count_prefix(const net::Prefix& prefix, int step) {
  prefixes_by_length_[prefix.address.is_v4() ? 0 : 1][prefix.length] += static_cast<uint32_t>(step);
}

void Rib::adopt(Rib&& fresh) {
  Changes changes = std::move(changes_);
  changes_ = {};
  changes.links |= links_ != fresh.links_;
  changes.addresses |= addresses_ != fresh.addresses_;
  for (const auto& [prefix, ranked] : routes_)
    if (!fresh.routes_.contains(prefix)) touch(prefix);
  for (const auto& [prefix, ranked] : fresh.routes_) {
    const auto known = routes_.find(prefix);
    if (known == routes_.end() || known->second != ranked) touch(prefix);
  }
  for (const auto& [key, n] : neighbors_)
    if (n.usable && fresh.neighbor(key.ifindex, key.address) != n.mac) touch(key);
  for (const auto& [key, n] : fresh.neighbors_)
    if (n.usable && !neighbor(key.ifindex, key.address)) touch(key);
  // Changed links and next-hop objects reach routes whose own entries are the same.
  const auto links = std::move(links_);
  const auto nexthops = std::move(nexthops_);
  links_ = std::move(fresh.links_);
  routes_ = std::move(fresh.routes_);
  nexthops_ = std::move(fresh.nexthops_);
  for (const auto& [ifindex, link] : links_)
    if (const auto old = links.find(ifindex); old == links.end() || !(old->second == link)) touch_routes_over(ifindex);
  for (const auto& [ifindex, link] : links)
    if (!links_.contains(ifindex)) touch_routes_over(ifindex);
  for (const auto& [id, object] : nexthops_)
    if (const auto old = nexthops.find(id); old == nexthops.end() || !(old->second == object)) touch_routes_by(id);
  addresses_ = std::move(fresh.addresses_);
  neighbors_ = std::move(fresh.neighbors_);
  prefixes_by_length_ = fresh.prefixes_by_length_;
  stale_ = false;
  changes_.all |= changes.all;
  changes_.links |= changes.links;
  changes_.addresses |= changes.addresses;
  changes_.routes.insert(changes_.routes.end(), changes.routes.begin(), changes.routes.end());
  changes_.neighbors.insert(changes_.neighbors.end(), changes.neighbors.begin(), changes.neighbors.end());
}

Changes Rib::take_changes() {
  Changes taken = std::move(changes_);
  changes_ = {};
  if (taken.all) {
    taken.routes.clear();
    taken.neighbors.clear();
  }
  sort_unique(taken.routes);
  sort_unique(taken.neighbors);
  return taken;
}

const Link* Rib::link(int ifindex) const {
  const auto found = links_.find(ifindex);
  return found == links_.end() ? nullptr : &found->second;
}

const Link* Rib::link(std::string_view name) const {
  for (const auto& [ifindex, link] : links_)
    if (link.name == name) return &link;
  return nullptr;
}

std::vector<Address> Rib::addresses(int ifindex) const {
  std::vector<Address> out;
  std::copy_if(addresses_.begin(), addresses_.end(), std::back_inserter(out),
               [&](const Address& a) { return a.ifindex == ifindex; });
  return out;
}

const Neighbor* Rib::neighbor_entry(const NeighborKey& key) const {
  const auto found = neighbors_.find(key);
  return found == neighbors_.end() ? nullptr : &found->second;
}

std::optional<net::MacAddress> Rib::neighbor(int ifindex, const IpAddress& address) const {
  const Neighbor* n = neighbor_entry({ifindex, address});
  return n != nullptr && n->usable ? std::optional(n->mac) : std::nullopt;
}

void Rib::for_each_neighbor(const std::function<void(const NeighborKey&, const net::MacAddress&)>& visit) const {
  for (const auto& [key, n] : neighbors_)
    if (n.usable) visit(key, n.mac);
}

bool Rib::live(const Hop& hop) const {
  const Link* l = link(hop.ifindex);
  return l != nullptr && l->up;
}

// Appends the live hops of a next-hop object; kNone if it has none.
RouteKind Rib::hops_of_nexthop(uint32_t id, uint32_t weight, bool in_group, std::vector<Hop>& out) const {
  const auto found = nexthops_.find(id);
  if (found == nexthops_.end()) return RouteKind::kNone;
  const Nexthop& object = found->second;
  if (object.kind != RouteKind::kUnicast) return object.kind;
  if (object.group.empty()) {
    Hop hop = object.hop;
    hop.weight = weight;
    if (!live(hop)) return RouteKind::kNone;
    out.push_back(hop);
    return RouteKind::kUnicast;
  }
  if (in_group) return RouteKind::kNone;  // the kernel nests no groups
  RouteKind kind = RouteKind::kNone;
  for (const NexthopMember& m : object.group) {
    const RouteKind of_member = hops_of_nexthop(m.id, m.weight, true, out);
    if (of_member == RouteKind::kUnicast || kind == RouteKind::kNone) kind = of_member;
  }
  return kind;
}

RouteKind Rib::hops_of(const Route& route, std::vector<Hop>& out) const {
  if (route.kind != RouteKind::kUnicast) return route.kind;
  if (route.nexthop_id != 0) return hops_of_nexthop(route.nexthop_id, 1, false, out);
  std::copy_if(route.hops.begin(), route.hops.end(), std::back_inserter(out), [&](const Hop& h) { return live(h); });
  return out.empty() ? RouteKind::kNone : RouteKind::kUnicast;
}

// The best route that leads anywhere. Its source is the route's own, or zero.
std::optional<Resolution> Rib::resolve(const Ranked& ranked) const {
  for (const Route& route : ranked) {
    Resolution r;
    r.kind = hops_of(route, r.hops);
    if (r.kind == RouteKind::kNone) continue;
    // While some hops have carrier, those without are left out; the kernel itself leaves this to the operator
    // (ignore_routes_with_linkdown) and loses their share of the flows.
    const auto dark = [&](const Hop& h) { return !link(h.ifindex)->lower_up; };
    if (!std::all_of(r.hops.begin(), r.hops.end(), dark)) std::erase_if(r.hops, dark);
    std::sort(r.hops.begin(), r.hops.end());
    r.on_link = !r.hops.empty() && std::all_of(r.hops.begin(), r.hops.end(), [](const Hop& h) { return h.on_link(); });
    r.source = route.source;
    r.mtu = route.mtu;
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): hops_of() takes those of links that there are.
    for (const Hop& h : r.hops) r.mtu = r.mtu == 0 ? link(h.ifindex)->mtu : std::min(r.mtu, link(h.ifindex)->mtu);
    return r;
  }
  return std::nullopt;
}

// As the kernel picks it (inet_select_addr; RFC 6724 in its rules on scope and deprecation): an address of the egress
// link in whose prefix the next hop lies, else the link's first of global scope, else any link's.
IpAddress Rib::source_for(const Hop& hop, const IpAddress& destination) const {
  const IpAddress& next = hop.on_link() ? destination : hop.next_hop;
  IpAddress of_link, of_any;
  for (const Address& a : addresses_) {
    if (a.address.is_v4() != destination.is_v4() || a.scope == AddressScope::kHost || !a.preferred) continue;
    if (a.scope == AddressScope::kLink && !is_link_local(destination)) continue;
    if (a.ifindex == hop.ifindex && covers(a, next)) return a.address;
    if (a.ifindex == hop.ifindex && of_link.is_zero()) of_link = a.address;
    if (a.scope == AddressScope::kGlobal && of_any.is_zero()) of_any = a.address;
  }
  return of_link.is_zero() ? of_any : of_link;
}

void Rib::finish(Resolution& r, const IpAddress& destination) const {
  if (r.source.is_zero() && !r.hops.empty()) r.source = source_for(r.hops.front(), destination);
}

Resolution Rib::lookup(const IpAddress& destination) const {
  const bool v6 = !destination.is_v4();
  for (unsigned length = address_bits(destination) + 1; length-- > 0;) {
    if (prefixes_by_length_[v6][length] == 0) continue;
    const auto found = routes_.find(prefix_of(destination, length));
    if (found == routes_.end()) continue;
    auto r = resolve(found->second);
    if (!r) continue;
    finish(*r, destination);
    for (Hop& h : r->hops)
      if (h.on_link()) h.next_hop = destination;
    return std::move(*r);
  }
  return {};
}

Resolution Rib::route(const net::Prefix& prefix) const {
  const auto found = routes_.find(prefix);
  if (found == routes_.end()) return {};
  Resolution r = resolve(found->second).value_or(Resolution{});
  finish(r, prefix.address);
  return r;
}

void Rib::for_each_route(const std::function<void(const net::Prefix&, const Resolution&)>& visit) const {
  for (const auto& [prefix, ranked] : routes_) {
    auto r = resolve(ranked);
    if (!r) continue;
    finish(*r, prefix.address);
    visit(prefix, *r);
  }
}

}  // namespace guideway::control
