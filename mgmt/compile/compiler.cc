#include "mgmt/compile/compiler.h"

#include <algorithm>
#include <utility>

#include "mgmt/engine_link/frame.h"

namespace guideway::mgmt {
namespace {

void add_interests(const ObjectPtr& form, std::vector<VipKey>& out) {
  if (!form) return;
  const auto& s = std::get<Service>(form->body);
  for (const Vip& v : s.vips)
    for (const ServicePort& p : served_ports(s)) out.push_back({v.address, p.port, p.protocol});
}

std::string port_field(const ServicePort& p, const char* name) {
  return "spec.ports[" + std::to_string(p.index) + "]." + name;
}

void each_once(std::vector<Problem>& problems) {
  std::sort(problems.begin(), problems.end());
  problems.erase(std::unique(problems.begin(), problems.end()), problems.end());
}

}  // namespace

Delta Compiler::update(std::span<const ObjectKey> changed) {
  Delta delta;
  std::set<ObjectKey> services;
  bool gateway = false;
  bool filters = false;
  for (const ObjectKey& key : changed) {
    if (!store_.good(key)) reformed_.insert(key);  // it is new, or another file's now
    if (key.kind == Kind::kService) services.insert(key);
    if (key.kind == Kind::kEndpointSlice) index_slice(key, services);
    if (key.kind == Kind::kGatewayConfig) gateway = true;
    if (key.kind == Kind::kSourceFilter) filters = true;
  }
  if (filters) {
    delta.denied = update_denied();
    delta.gateway = update_source_rate();
  }
  if (gateway && update_gateway()) {
    delta.gateway = true;
    for (const ObjectKey& key : store_.keys(Kind::kService)) services.insert(key);
  }
  compile_all(services);
  tell_difference(delta);
  delta.reformed = std::exchange(reformed_, {});
  return delta;
}

// The older first: a service only ever waits for older ones, so this ends.
void Compiler::compile_all(const std::set<ObjectKey>& services) {
  std::set<Precedence> dirty;
  for (const ObjectKey& key : services) declare_interests(key, dirty);
  for (const ObjectKey& key : services) {
    if (const ObjectPtr latest = store_.latest(key))
      dirty.insert(precedence(*latest));
    else
      forget(key, dirty);
  }
  while (!dirty.empty()) {
    const ObjectKey key = dirty.extract(dirty.begin()).value().key;
    compile(key, dirty);
  }
}

// An entry may be touched more than once; only where it began and ended counts.
void Compiler::tell_difference(Delta& delta) {
  for (const auto& [name, before] : touched_) {
    const auto now = entries_.find(name);
    if (now == entries_.end()) {
      if (before) delta.removed.push_back(name);
    } else if (!before || before->frame != now->second->frame) {
      delta.changed.push_back(now->second);
    }
  }
  touched_.clear();
}

// The slices of a service, before and after.
void Compiler::index_slice(const ObjectKey& key, std::set<ObjectKey>& services) {
  if (const auto it = service_of_slice_.find(key); it != service_of_slice_.end()) {
    services.insert({Kind::kService, it->second.first, it->second.second});
    auto& slices = slices_[it->second];
    slices.erase(key);
    if (slices.empty()) slices_.erase(it->second);
    service_of_slice_.erase(it);
  }
  const ObjectPtr latest = store_.latest(key);
  if (!latest) return;
  const std::string& service = std::get<EndpointSlice>(latest->body).service;
  if (service.empty()) return;
  service_of_slice_[key] = {key.ns, service};
  slices_[{key.ns, service}].insert(key);
  services.insert({Kind::kService, key.ns, service});
}

// Before anything is compiled, each VIP's claimants are known, in their order.
void Compiler::declare_interests(const ObjectKey& key, std::set<Precedence>& dirty) {
  const ObjectPtr latest = store_.latest(key);
  const auto it = units_.find(key);
  std::vector<VipKey> now;
  if (latest) {
    add_interests(latest, now);
    add_interests(store_.good(key), now);
    std::sort(now.begin(), now.end());
    now.erase(std::unique(now.begin(), now.end()), now.end());
  }
  if (it == units_.end() && now.empty()) return;
  Unit& unit = it != units_.end() ? it->second : units_[key];
  for (const VipKey& v : unit.interests) {
    auto& set = interests_[v];
    set.erase(unit.precedence);
    if (set.empty()) interests_.erase(v);
  }
  unit.interests = std::move(now);
  if (!latest) return;
  unit.precedence = precedence(*latest);
  for (const VipKey& v : unit.interests) {
    auto& set = interests_[v];
    set.insert(unit.precedence);
    // Whoever comes after an older claimant that has just arrived must look again.
    dirty.insert(std::next(set.find(unit.precedence)), set.end());
  }
}

ForwardingMode Compiler::resolve(ModeWish wish) const {
  switch (wish) {
    case ModeWish::kDefault:
      return gateway_.mode;
    case ModeWish::kDefaultDsr:
      return gateway_.dsr_mode;
    case ModeWish::kDsrL2:
      return ForwardingMode::kDsrL2;
    case ModeWish::kDsrIpip:
      return ForwardingMode::kDsrIpip;
    case ModeWish::kDsrGue:
      return ForwardingMode::kDsrGue;
    case ModeWish::kNat:
    case ModeWish::kCiliumSnat:
      return ForwardingMode::kNat;
  }
  return ForwardingMode::kNat;
}

void Compiler::compile(const ObjectKey& key, std::set<Precedence>& dirty) {
  const ObjectPtr latest = store_.latest(key);
  if (!latest) return forget(key, dirty);
  const auto& service = std::get<Service>(latest->body);
  const ObjectPtr good = store_.good(key);
  if (!service.ours) {
    forget(key, dirty);
    accept(key, latest);
    return;
  }
  Unit& unit = units_[key];
  unit.precedence = precedence(*latest);
  const ForwardingMode mode = resolve(service.mode);
  const ForwardingMode good_mode = good ? unit.good_mode.value_or(resolve(std::get<Service>(good->body).mode)) : mode;
  const bool changes_mode = !is_dsr(good_mode) && is_dsr(mode);
  Attempt first = attempt(key, latest, mode, unit.precedence, changes_mode);
  if (!first.contradicted) {
    reform(key, unit, latest, mode);
    unit.good_mode = mode;
    accept(key, latest);
    return install(key, unit, std::move(first), dirty);
  }
  const bool same = !good || (*good == *latest && good_mode == mode);
  if (same || !std::get<Service>(good->body).ours) {
    reform(key, unit, latest, mode);
    return install(key, unit, std::move(first), dirty);
  }
  reform(key, unit, good, good_mode);
  Attempt second = attempt(key, good, unit.mode, unit.precedence, false);
  // What is wrong with slices beside the form in force stays, or they would count as good.
  std::erase_if(second.problems, [&](const Problem& p) { return p.object == to_string(key); });
  second.problems.insert(second.problems.end(), first.problems.begin(), first.problems.end());
  each_once(second.problems);
  second.refused = std::move(first.refused);
  install(key, unit, std::move(second), dirty);
  unit.former.push_back(key);
}

// `keep_slices`: the service is becoming DSR, so slices whose port doesn't fit contradict it, not the other way round.
Compiler::Attempt Compiler::attempt(const ObjectKey& key, const ObjectPtr& form, ForwardingMode mode,
                                    const Precedence& precedence, bool keep_slices) {
  Attempt a;
  const auto& service = std::get<Service>(form->body);
  const std::vector<ServicePort> ports = served_ports(service);
  const auto refuse = [&](const EntryPtr& without_backends, Problem why) {
    a.contradicted = true;
    a.problems.push_back(std::move(why));
    a.refused.push_back(without_backends);
  };
  for (const Vip& vip : service.vips) {
    for (const ServicePort& port : ports) {
      const auto without_backends = [&] {
        return build_entry(form, vip, port, mode, gateway_.announce, {}, store_.overrides()).entry;
      };
      if (auto p = contradiction(key, *form, vip, port, mode, precedence)) {
        refuse(without_backends(), std::move(*p));
        continue;
      }
      std::vector<Problem> of_slices;
      BuiltEntry built = build(key, form, vip, port, mode, of_slices);
      if (keep_slices && !built.mismatches.empty()) {
        a.contradicted = true;
        a.problems.push_back(problem(*form, port.line, port_field(port, "targetPort"),
                                     "must be the port itself in mode " + std::string(to_string(mode)) + ", but " +
                                         to_string(built.mismatches[0].slice->key) + " has another: use mode nat"));
      }
      a.problems.insert(a.problems.end(), of_slices.begin(), of_slices.end());
      if (!fits(built.entry->frame)) {
        const EntryPtr rest = without_backends();
        refuse(rest, too_large(*form, *built.entry, *rest));
        continue;
      }
      a.entries.push_back(std::move(built.entry));
    }
    if (mode == ForwardingMode::kNat && !has_snat(vip.address.is_v4()))
      a.problems.push_back(problem(*form, vip.line, vip.field,
                                   std::string("mode nat needs an SNAT address of its family, or its packets are "
                                               "dropped: add an ") +
                                       (vip.address.is_v4() ? "IPv4" : "IPv6") + " one to spec.snat of GatewayConfig"));
  }
  // A port is wrong once, however many VIPs it has.
  each_once(a.problems);
  return a;
}

// Told by what takes the larger part of it: backends, or what is left without them.
Problem Compiler::too_large(const Object& form, const Entry& entry, const Entry& without_backends) const {
  const char* const field = "spec.loadBalancerSourceRanges";
  const auto ranges = form.limited.find(field);
  if (ranges == form.limited.end() || entry.frame.size() > 2 * without_backends.frame.size())
    return problem(form, entry.line, entry.field,
                   "has " + std::to_string(entry.reals) +
                       " backends, more than one message to the engine holds: split the Service");
  return problem(
      form, ranges->second.line, ranges->second.field,
      "has " + std::to_string(std::get<Service>(form.body).source_ranges.size()) +
          " source ranges, more than one message to the engine holds: join some of them to shorter prefixes");
}

std::optional<Problem> Compiler::contradiction(const ObjectKey& key, const Object& form, const Vip& vip,
                                               const ServicePort& port, ForwardingMode mode,
                                               const Precedence& precedence) const {
  for (const Snat& s : gateway_.snat)
    if (s.address == vip.address)
      return problem(form, vip.line, vip.field,
                     net::to_string(vip.address) + " is an SNAT address of " + to_string(gateway_object_->key) + " (" +
                         store_.owner(gateway_object_->key) + ") and can't be a VIP: choose another");
  if (is_dsr(mode) && port.target != 0 && port.target != port.port)
    return problem(form, port.line, port_field(port, "targetPort"),
                   "is " + std::to_string(port.target) + ", but mode " + to_string(mode) +
                       " can't translate ports: make it " + std::to_string(port.port) + " or use mode nat");
  const VipKey v{vip.address, port.port, port.protocol};
  const auto holder = holders_.find(v);
  if (holder == holders_.end() || holder->second == key) return std::nullopt;
  const Unit& other = units_.at(holder->second);
  if (precedence < other.precedence) return std::nullopt;
  return problem(form, vip.line, vip.field,
                 net::to_string(vip.address, port.port) + "/" + to_string(port.protocol) + " belongs to " +
                     to_string(holder->second) + " (" + store_.owner(holder->second) +
                     "), which is older or comes first by name: choose another address or port");
}

// A slice whose latest form doesn't fit the service serves it in its last good form.
BuiltEntry Compiler::build(const ObjectKey& key, const ObjectPtr& form, const Vip& vip, const ServicePort& port,
                           ForwardingMode mode, std::vector<Problem>& problems) {
  std::vector<ObjectPtr> slices;
  if (const auto it = slices_.find({key.ns, key.name}); it != slices_.end())
    for (const ObjectKey& s : it->second) slices.push_back(store_.latest(s));
  BuiltEntry built = build_entry(form, vip, port, mode, gateway_.announce, slices, store_.overrides());
  if (built.mismatches.empty()) return built;
  for (const Mismatch& m : built.mismatches) {
    problems.push_back(problem(*m.slice, m.slice_port->line, "ports[" + std::to_string(m.slice_port->index) + "].port",
                               m.unnumbered ? "is missing, so " + to_string(key) + " can't be sent there: name the port"
                                            : "is " + std::to_string(m.slice_port->port) + ", but " + to_string(key) +
                                                  " has port " + std::to_string(port.port) + " and mode " +
                                                  to_string(mode) + ", which can't translate ports: use mode nat"));
    const ObjectPtr good = store_.good(m.slice->key);
    if (good) std::replace(slices.begin(), slices.end(), m.slice, good);
  }
  BuiltEntry again = build_entry(form, vip, port, mode, gateway_.announce, slices, store_.overrides());
  again.mismatches = std::move(built.mismatches);
  return again;
}

void Compiler::reform(const ObjectKey& key, Unit& unit, const ObjectPtr& form, ForwardingMode mode) {
  if (unit.form != form || unit.mode != mode) reformed_.insert(key);
  unit.form = form;
  unit.mode = mode;
}

void Compiler::accept(const ObjectKey& key, const ObjectPtr& form) {
  if (store_.good(key) != form) reformed_.insert(key);
  store_.accept(key, form);
}

void Compiler::install(const ObjectKey& key, Unit& unit, Attempt attempt, std::set<Precedence>& dirty) {
  std::set<VipKey> held;
  std::set<std::string> names;
  for (EntryPtr& e : attempt.entries) {
    held.insert(e->vip);
    names.insert(e->name);
    EntryPtr& slot = entries_[e->name];
    touched_.try_emplace(e->name, slot);
    slot = e;
    const auto [holder, free] = holders_.try_emplace(e->vip, key);
    if (free || holder->second == key) continue;
    dirty.insert(units_.at(holder->second).precedence);  // it came later, and gives way
    holder->second = key;
  }
  for (const EntryPtr& old : unit.entries) {
    if (!names.contains(old->name)) {
      touched_.try_emplace(old->name, old);
      entries_.erase(old->name);
    }
    const auto holder = holders_.find(old->vip);
    if (held.contains(old->vip) || holder == holders_.end() || holder->second != key) continue;
    holders_.erase(holder);
    if (const auto others = interests_.find(old->vip); others != interests_.end())
      dirty.insert(others->second.upper_bound(unit.precedence), others->second.end());
  }
  unit.entries = std::move(attempt.entries);
  unit.refused = std::move(attempt.refused);
  unit.problems = std::move(attempt.problems);
  unit.former.clear();
  // Slices that fit are good now; what doesn't fit any port of the service is told by its problems.
  if (const auto it = slices_.find({key.ns, key.name}); it != slices_.end())
    for (const ObjectKey& s : it->second) {
      const bool wrong = std::any_of(unit.problems.begin(), unit.problems.end(),
                                     [&](const Problem& p) { return p.object == to_string(s); });
      if (!wrong)
        accept(s, store_.latest(s));
      else if (store_.good(s) && store_.good(s) != store_.latest(s))
        unit.former.push_back(s);
    }
}

void Compiler::forget(const ObjectKey& key, std::set<Precedence>& dirty) {
  const auto it = units_.find(key);
  if (it == units_.end()) return;
  for (const VipKey& v : it->second.interests) {
    auto& set = interests_[v];
    set.erase(it->second.precedence);
    if (set.empty()) interests_.erase(v);
  }
  it->second.interests.clear();
  install(key, it->second, {}, dirty);
  units_.erase(it);
}

Problem Compiler::problem(const Object& object, uint32_t line, std::string field, std::string text) const {
  return {store_.owner(object.key), object.place.document, line,
          to_string(object.key),    std::move(field),      std::move(text)};
}

std::vector<EntryPtr> Compiler::refused() const {
  std::vector<EntryPtr> all;
  for (const auto& [key, unit] : units_) all.insert(all.end(), unit.refused.begin(), unit.refused.end());
  // The last good form may serve the same VIP.
  std::erase_if(all, [&](const EntryPtr& e) { return entries_.contains(e->name); });
  return all;
}

std::vector<Problem> Compiler::problems() const {
  std::vector<Problem> all = gateway_problems_;
  all.insert(all.end(), filter_problems_.begin(), filter_problems_.end());
  for (const auto& [key, unit] : units_) all.insert(all.end(), unit.problems.begin(), unit.problems.end());
  return all;
}

std::optional<ForwardingMode> Compiler::mode_of(const ObjectKey& service) const {
  const auto it = units_.find(service);
  if (it == units_.end() || !it->second.form) return std::nullopt;
  return it->second.mode;
}

std::optional<ForwardingMode> Compiler::asked_mode_of(const ObjectKey& service) const {
  const ObjectPtr latest = units_.contains(service) ? store_.latest(service) : nullptr;
  if (!latest) return std::nullopt;
  return resolve(std::get<Service>(latest->body).mode);
}

std::vector<ObjectKey> Compiler::former() const {
  std::vector<ObjectKey> all;
  for (const auto& [key, unit] : units_) all.insert(all.end(), unit.former.begin(), unit.former.end());
  return all;
}

std::vector<ObjectKey> Compiler::served_by(const OverrideKey& override) const {
  std::set<ObjectKey> services;
  const bool all = override.service.empty();
  const std::string from = all ? std::string() : entry_name_prefix(override.ns, override.service);
  for (auto it = entries_.lower_bound(from); it != entries_.end() && it->first.starts_with(from); ++it)
    for (const Backend& b : it->second->backends)
      if (b.address == override.backend) services.insert(it->second->service->key);
  return {services.begin(), services.end()};
}

ObjectPtr Compiler::form_of(const ObjectKey& key) const {
  if (key.kind == Kind::kService)
    if (const auto it = units_.find(key); it != units_.end() && it->second.form) return it->second.form;
  const ObjectPtr latest = store_.latest(key);
  // A slice is judged with its service only: without one there is nothing better than its latest form.
  if (key.kind == Kind::kEndpointSlice)
    if (const auto it = service_of_slice_.find(key);
        it == service_of_slice_.end() || !units_.contains({Kind::kService, it->second.first, it->second.second}))
      return latest;
  const ObjectPtr good = store_.good(key);
  return good ? good : latest;
}

}  // namespace guideway::mgmt
