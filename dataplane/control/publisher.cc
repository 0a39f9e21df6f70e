#include "dataplane/control/publisher.h"

#include <absl/status/status.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "dataplane/control/routing/networks.h"
#include "net/checksum.h"
#include "net/headers.h"

namespace guideway::control {

namespace {

// The bits of an address that its prefix says, as they stand.
net::IpAddress::Words mask_of(const net::Prefix& p) {
  net::IpAddress ones;
  ones.bytes.fill(0xff);
  // Of an IPv4 address the ::ffff before it counts too.
  return net::prefix_of(ones, p.length + 128U - net::address_bits(p.address)).address.words();
}

path::AddressRange range_of(const std::optional<net::Prefix>& p) {
  if (!p) return {};
  return {.value = p->address.words(), .mask = mask_of(*p)};
}

// Workers may be reading it; nobody else writes.
void set_slot(uint16_t& slot, uint16_t value) { std::atomic_ref(slot).store(value, std::memory_order_relaxed); }

// Whether connections are to be judged again: what they were decided by has changed.
bool decides_anew(const ServiceSpec& before, const ServiceSpec& after) {
  return before.mode != after.mode || before.mtu != after.mtu || before.affinity_seconds != after.affinity_seconds ||
         before.source_ranges != after.source_ranges || before.source_ranges_deny != after.source_ranges_deny;
}

// A table of open addressing with the places that it looks at.
template <typename Table>
struct Placed {
  std::vector<typename Table::Entry> places;
  Table table;
  explicit Placed(std::vector<typename Table::Entry> p) : places(std::move(p)), table(places) {}
};

// So many places that half of them stay free.
size_t places_for(size_t entries) { return std::bit_ceil(2 * entries + 2); }

}  // namespace

absl::StatusOr<std::unique_ptr<Publisher>> Publisher::create(Setup setup, Reclaimer& reclaimer) {
  auto maglev = MaglevTables::create(reclaimer, setup.limits.maglev_slots,
                                     setup.mirror != nullptr ? setup.mirror->slots() : SlotMemory{});
  if (!maglev.ok()) return maglev.status();
  auto exceptions = ExceptionTable::create(reclaimer, setup.mirror);
  if (!exceptions.ok()) return exceptions.status();
  auto identities = RowIdentities::open(setup.directory);
  if (!identities.ok()) return identities.status();
  return std::unique_ptr<Publisher>(
      new Publisher(std::move(setup), reclaimer, std::move(*maglev), std::move(*exceptions), std::move(*identities)));
}

Publisher::Publisher(Setup setup, Reclaimer& reclaimer, std::unique_ptr<MaglevTables> maglev, ExceptionTable exceptions,
                     RowIdentities identities)
    : limits_(setup.limits),
      mirror_(setup.mirror),
      rib_(*setup.rib),
      tally_(*setup.tally),
      reclaimer_(reclaimer),
      maglev_(std::move(maglev)),
      exceptions_(std::move(exceptions)),
      next_hops_(*setup.rib, setup.ports, reclaimer, std::move(setup.keep)),
      identities_(std::move(identities)),
      tables_(std::make_unique<path::Tables>()),
      workers_(setup.workers) {
  for (const PortFacts& p : setup.ports) {
    if (p.ifindex > 0) ports_.insert(p.ifindex);
    tables_->port_macs[p.index] = p.mac;
  }
  tables_->slots = maglev_->base();
  tables_->exceptions = exceptions_.workers_view();
  tables_->new_flow_rate = gateway_.new_flow_rate;
  tables_->icmp_rate = gateway_.icmp_rate;
  for (unsigned block = 0; block < path::kSnatBlocks; ++block)
    tables_->snat_owner[block] = static_cast<uint8_t>(block % workers_);
  restore();
  publish();
}

// What an earlier engine's connections name keeps its row: as if it had been removed, until the state names it again or
// the sweep finds that no connection does.
void Publisher::restore() {
  std::vector<path::ServiceIndex> services;
  identities_.for_each_service([&](path::ServiceIndex i, const RowIdentities::Service&) { services.push_back(i); });
  services_.claim(services);
  identities_.for_each_service([&](path::ServiceIndex i, const RowIdentities::Service& s) {
    path::Service& row = services_.edit(i, reclaimer_);
    row = {};
    row.epoch = s.epoch;
    retired_.services.emplace(i, ++removals_);
    left_[i].vip = s.vip;
    if (s.present) left_vips_[s.vip] = i;
  });
  std::vector<path::RealIndex> reals;
  std::vector<path::RealIndex> orphans;
  identities_.for_each_real([&](path::RealIndex i, const RowIdentities::Real& r) {
    (retired_.services.contains(r.service) ? reals : orphans).push_back(i);
  });
  for (const path::RealIndex i : orphans) identities_.clear(i);
  reals_.claim(reals);
  identities_.for_each_real([&](path::RealIndex i, const RowIdentities::Real& r) {
    fill_real(i, {.address = r.address, .port = r.port}, r.service);
    real_records_[i].gone = true;
    write_real(i);
    left_[r.service].reals[{r.address, r.port}] = i;
    retired_.reals.emplace(i, ++removals_);
  });
  sweep_wish_ |= !retired_.services.empty();
}

// A service that an earlier engine served has its row again, and its reals theirs. Whatever has been decided by its
// former state is judged anew.
void Publisher::allocate_service(ServiceRecord& record, const path::VipKey& vip) {
  const auto left = left_vips_.find(vip);
  if (left == left_vips_.end()) {
    record.index = services_.allocate();
    services_.edit(record.index, reclaimer_) = {};
    return;
  }
  record.index = left->second;
  record.gone = std::move(left_.at(record.index).reals);
  left_.erase(record.index);
  left_vips_.erase(left);
  retired_.services.erase(record.index);
}

Publisher::~Publisher() {
  records_.clear();
  formers_.clear();  // their tables too are released to maglev_
  delete current_.load();
  reclaimer_.drain();
}

// ---- checks: nothing has been changed yet

bool Publisher::reseeds(const Batch& batch) const {
  return batch.gateway && batch.gateway->hash_seed != gateway_.hash_seed;
}

// Leaves in the batch what changes: what a full one doesn't name is removed, what is as desired goes out of it, and
// another seed concerns all.
std::optional<Refusal> Publisher::settle(Batch& batch) const {
  std::set<std::string> named;
  for (const std::string& name : batch.removals)
    if (!named.insert(name).second) return Refusal{name, "name", "named twice in one batch"};
  for (const ServiceSpec& s : batch.services)
    if (!named.insert(s.name).second) return Refusal{s.name, "name", "named twice in one batch"};
  const bool reseeded = reseeds(batch);
  if (!reseeded)
    std::erase_if(batch.services, [&](const ServiceSpec& s) {
      const auto it = desired_.find(s.name);
      return it != desired_.end() && it->second == s;
    });
  if (!batch.full && !reseeded) return std::nullopt;
  std::vector<ServiceSpec> others;
  for (const auto& [name, spec] : desired_) {
    if (named.contains(name)) continue;
    if (batch.full)
      batch.removals.push_back(name);
    else
      others.push_back(spec);
  }
  // First, for what is refused should be what the batch itself has brought.
  batch.services.insert(batch.services.begin(), others.begin(), others.end());
  return std::nullopt;
}

std::optional<Refusal> Publisher::check_vips(const Batch& batch) const {
  std::set<std::string> leaving(batch.removals.begin(), batch.removals.end());
  for (const ServiceSpec& s : batch.services) leaving.insert(s.name);  // or they claim their VIP again
  std::map<path::VipKey, std::string> claimed;
  for (const ServiceSpec& s : batch.services) {
    const auto [it, fresh] = claimed.emplace(s.vip, s.name);
    if (!fresh) return Refusal{s.name, "address", "the VIP is " + it->second + "'s already"};
    const auto owner = vip_owner_.find(s.vip);
    if (owner != vip_owner_.end() && !leaving.contains(owner->second))
      return Refusal{s.name, "address", "the VIP is " + owner->second + "'s already"};
  }
  return std::nullopt;
}

std::vector<Publisher::Change> Publisher::changes_of(const Batch& batch) const {
  const uint64_t seed = batch.gateway ? batch.gateway->hash_seed : gateway_.hash_seed;
  std::vector<Change> changes;
  for (const ServiceSpec& s : batch.services) {
    Change c{.spec = &s, .selected = lb::select(s.reals), .input = {}, .table = {}};
    c.input = lb::table_input(s.reals, c.selected, s.table_size, seed);
    changes.push_back(std::move(c));
  }
  return changes;
}

std::optional<Refusal> Publisher::check_room(const Batch& batch, const std::vector<Change>& changes) const {
  uint64_t services = desired_.size();
  uint64_t reals = desired_reals_;
  uint64_t slots = batch.full ? 0 : maglev_->slots_used() - former_slots();
  std::set<std::string> leaving;
  const auto leave = [&](const std::string& name) {
    const auto it = desired_.find(name);
    if (it == desired_.end()) return;
    leaving.insert(name);
    --services;
    reals -= it->second.reals.size();
    // Of a small batch, which is to stay cheap, as if none were shared with one that stays.
    slots -= std::min<uint64_t>(slots, it->second.table_size);
  };
  for (const std::string& name : batch.removals) leave(name);
  for (const Change& c : changes) leave(c.spec->name);
  std::set<uint64_t> tables;  // equal ones are shared
  if (batch.full)
    for (const auto& [name, record] : records_)
      if (record.built.table != nullptr && !leaving.contains(name) &&
          tables.insert(lb::digest(record.built.table->input)).second)
        slots += record.built.table->size();
  for (const Change& c : changes) {
    ++services;
    reals += c.spec->reals.size();
    if (c.spec->reals.size() > limits_.reals_per_service)
      return Refusal{c.spec->name, "reals", "more than " + std::to_string(limits_.reals_per_service) + " reals"};
    if (tables.insert(lb::digest(c.input)).second) slots += c.spec->table_size;
  }
  const std::string last = changes.empty() ? "" : changes.back().spec->name;
  if (services > limits_.services)
    return Refusal{last, "", "more than " + std::to_string(limits_.services) + " services"};
  if (reals > limits_.reals)
    return Refusal{last, "reals", "more than " + std::to_string(limits_.reals) + " reals in all"};
  if (slots > limits_.maglev_slots)
    return Refusal{last, "table_size", "more than " + std::to_string(limits_.maglev_slots) + " Maglev slots in all"};
  return check_real_rows(batch);
}

// Removed reals have their rows for as long as connections may name them: for room that comes by itself.
std::optional<Refusal> Publisher::check_real_rows(const Batch& batch) const {
  uint64_t rows = reals_.used();
  uint64_t named = 0;
  for (const ServiceSpec& s : batch.services) named += s.reals.size();
  if (rows + named <= limits_.real_rows) return std::nullopt;  // were they all new
  for (const ServiceSpec& s : batch.services) {
    const auto record = records_.find(s.name);
    for (const lb::Real& r : s.reals) {
      const RealKey key{r.address, r.port};
      rows += record == records_.end() || !(record->second.reals.contains(key) || record->second.gone.contains(key));
    }
    if (rows > limits_.real_rows)
      return Refusal{s.name, "reals", "connections of too many removed reals are still known", true};
  }
  return std::nullopt;
}

// ---- changes

std::optional<Refusal> Publisher::apply(Batch batch) {
  if (auto refusal = settle(batch)) return refusal;
  if (auto refusal = check_vips(batch)) return refusal;
  std::vector<Change> changes = changes_of(batch);
  if (auto refusal = check_room(batch, changes)) return refusal;
  if (auto refusal = build_tables(batch, changes)) return refusal;
  if (batch.gateway) apply_gateway(*batch.gateway);
  for (const std::string& name : batch.removals) remove_service(name);
  for (Change& c : changes) apply_service(std::move(c));
  for (ServiceSpec& s : batch.services) desired_[s.name] = std::move(s);
  publish();
  return std::nullopt;
}

// All that the batch needs at once, as one after the other would take most of its time; and before anything changes,
// for the array may be full.
std::optional<Refusal> Publisher::build_tables(const Batch& batch, std::vector<Change>& changes) {
  std::vector<lb::TableInput> inputs;
  std::vector<Change*> wanting;
  for (Change& c : changes) {
    if (c.selected.empty()) continue;
    inputs.push_back(std::move(c.input));
    wanting.push_back(&c);
  }
  std::vector<MaglevTables::TableRef> tables = maglev_->build(std::move(inputs));
  for (size_t i = 0; i < tables.size(); ++i) {
    if (tables[i] == nullptr) {
      const ServiceSpec& s = *wanting[i]->spec;
      const std::string why = "no room is left for a Maglev table of " + std::to_string(s.table_size) +
                              " slots, for what former tables had serves their sizes only: ";
      if (reseeds(batch)) return Refusal{"gateway", "hash_seed", why + "keep the seed, or restart the engine"};
      return Refusal{s.name, "table_size", why + "take a size that was used before, or restart the engine", true};
    }
    wanting[i]->table = std::move(tables[i]);
  }
  return std::nullopt;
}

void Publisher::apply_gateway(const GatewaySpec& spec) {
  if (spec.hash_seed != gateway_.hash_seed) forget_exceptions();
  gateway_ = spec;
  ++steering_version_;
  tables_->hash_seed = spec.hash_seed;
  tables_->idle_timeouts = spec.idle_timeouts;
  affinity_changed_ = true;
  tables_->new_flow_rate = spec.new_flow_rate;
  tables_->icmp_rate = spec.icmp_rate;
  tables_->snat_count = static_cast<uint32_t>(spec.snat.size());
  std::ranges::copy(spec.snat, tables_->snat.begin());
  tables_->encap_sources = {range_of(spec.encap_source4), range_of(spec.encap_source6)};
  addresses_changed_ = true;
  for (const auto& [i, record] : real_records_) write_real(i);
}

void Publisher::apply_service(Change change) {
  const ServiceSpec& spec = *change.spec;
  auto [it, fresh] = records_.try_emplace(spec.name);
  ServiceRecord& record = it->second;
  if (fresh) {
    allocate_service(record, spec.vip);
    record.removed.resize(tally_.workers());
    by_index_[record.index] = it;
  }
  const auto old = desired_.find(spec.name);
  path::Service& row = services_.edit(record.index, reclaimer_);
  if (fresh || record.vip != spec.vip) {
    disown(record.vip, spec.name);
    vip_owner_[spec.vip] = spec.name;
    record.vip = spec.vip;
    vips_changed_ = addresses_changed_ = true;
    ++steering_version_;
  }
  if (old != desired_.end() && old->second.announce != spec.announce) ++steering_version_;
  if (old == desired_.end() || decides_anew(old->second, spec)) ++row.epoch;
  row.present = true;
  row.mode = spec.mode;
  row.mtu = spec.mtu;
  row.owners_moved |= !fresh && (row.affinity == 0) != (spec.affinity_seconds == 0);
  identities_.set(record.index, {.vip = spec.vip, .epoch = row.epoch, .present = true});
  const bool affinity = std::exchange(row.affinity, spec.affinity_seconds) != spec.affinity_seconds;
  update_ranges(record, spec);
  update_reals(record, spec);
  update_table(record, std::move(change));
  if (affinity) change_affinity(record);
  const bool announced = spec.announce && services_[record.index].table_size > 0;
  if (std::exchange(record.announced, announced) != announced) addresses_changed_ = true;
}

// Clients are asked by another hash from now on: any connection may be off its slot.
void Publisher::change_affinity(const ServiceRecord& record) {
  affinity_changed_ = sweep_wish_ = true;
  if (record.built.table != nullptr) mark_moved(*record.built.table);
}

// The longest that any service remembers a client: its table entry lives as long.
path::Tick Publisher::longest_affinity() const {
  uint32_t longest = 0;
  for (const auto& [name, record] : records_) longest = std::max(longest, services_[record.index].affinity);
  return static_cast<path::Tick>(longest);
}

void Publisher::update_ranges(ServiceRecord& record, const ServiceSpec& spec) {
  auto ranges = std::make_shared<const std::vector<lb::SourceRange>>(lb::source_ranges(spec.source_ranges));
  path::Service& row = services_.edit(record.index, reclaimer_);
  row.ranges_deny = spec.source_ranges_deny;
  row.ranges = ranges->data();
  row.range_count = static_cast<uint32_t>(ranges->size());
  reclaimer_.later([old = std::exchange(record.ranges, std::move(ranges))] {});
}

// Unless another service of the same batch has it by now.
void Publisher::disown(const path::VipKey& vip, const std::string& service) {
  const auto it = vip_owner_.find(vip);
  if (it != vip_owner_.end() && it->second == service) vip_owner_.erase(it);
}

void Publisher::remove_service(const std::string& name) {
  const auto it = records_.find(name);
  if (it == records_.end()) return;
  ServiceRecord& record = it->second;
  ServiceSpec none = desired_.at(name);
  none.reals.clear();
  update_reals(record, none);
  path::Service& row = services_.edit(record.index, reclaimer_);
  row.present = false;
  row.table_size = 0;
  retired_.services.emplace(record.index, ++removals_);
  identities_.set(record.index, {.vip = record.vip, .epoch = row.epoch, .present = false});
  disown(record.vip, name);
  drop_former(record.index);
  reclaimer_.later([built = record.built, ranges = record.ranges] {});
  by_index_.erase(record.index);
  records_.erase(it);
  desired_.erase(name);
  vips_changed_ = addresses_changed_ = sweep_wish_ = affinity_changed_ = true;
  ++steering_version_;
}

path::RealIndex Publisher::add_real(const lb::Real& real, path::ServiceIndex service) {
  const path::RealIndex i = reals_.allocate();
  identities_.set(i, {.address = real.address, .port = real.port, .service = service});
  fill_real(i, real, service);
  return i;
}

void Publisher::fill_real(path::RealIndex i, const lb::Real& real, path::ServiceIndex service) {
  tally_.prepare(i);
  path::Real& row = reals_.edit(i, reclaimer_);
  row = {};
  row.service = service;
  real_records_[i] = {real, {}};
  resolve_real(i);
}

// The real's row. One that comes back gets its own back, and its connections go on.
path::RealIndex Publisher::real_of(ServiceRecord& record, const lb::Real& real) {
  const RealKey key{real.address, real.port};
  if (const auto it = record.reals.find(key); it != record.reals.end()) return it->second;
  const auto gone = record.gone.find(key);
  if (gone == record.gone.end()) return add_real(real, record.index);
  const path::RealIndex i = gone->second;
  record.gone.erase(gone);
  retired_.reals.erase(i);
  real_records_[i].gone = false;
  return i;
}

void Publisher::update_reals(ServiceRecord& record, const ServiceSpec& spec) {
  std::map<RealKey, path::RealIndex> now;
  for (const lb::Real& r : spec.reals) {
    const path::RealIndex i = real_of(record, r);
    now.emplace(RealKey{r.address, r.port}, i);
    real_records_[i].real = r;
    write_real(i);
  }
  for (const auto& [key, i] : record.reals) {
    if (now.contains(key)) continue;
    // The row stays, for connections that may still name it; the sweep tells when none does.
    real_records_[i].gone = true;
    write_real(i);
    record.gone.emplace(key, i);
    retired_.reals.emplace(i, ++removals_);
    sweep_wish_ = true;
  }
  desired_reals_ += static_cast<uint32_t>(now.size() - record.reals.size());
  record.reals = std::move(now);
}

void Publisher::write_real(path::RealIndex i) {
  RealRecord& record = real_records_[i];
  path::Real& row = reals_.edit(i, reclaimer_);
  row.state = record.gone ? lb::RealState::kGone : lb::state_of(record.real);
  row.address = record.real.address;
  row.port = net::Be16{record.real.port};
  row.on_link = record.resolution.on_link;
  row.is_v4 = row.address.is_v4();
  const auto& configured = row.is_v4 ? gateway_.encap_source4 : gateway_.encap_source6;
  row.encap_source = configured ? configured->address : record.resolution.source;
  row.source_mask = configured ? ~mask_of(*configured)[1] : 0;
  row.has_encap_source = !row.encap_source.is_zero() && row.encap_source.is_v4() == row.is_v4;
  const bool preferred = row.has_encap_source && !configured && path::encapsulates(services_[row.service].mode);
  encapsulate_from(record, preferred ? row.encap_source : net::IpAddress{});
}

void Publisher::encapsulate_from(RealRecord& record, const net::IpAddress& source) {
  const net::IpAddress before = std::exchange(record.encap_source, source);
  if (before == source) return;
  if (!source.is_zero() && ++encap_sources_[source] == 1) addresses_changed_ = true;
  if (before.is_zero() || --encap_sources_[before] > 0) return;
  encap_sources_.erase(before);
  addresses_changed_ = true;
}

void Publisher::resolve_real(path::RealIndex i) {
  RealRecord& record = real_records_[i];
  Resolution r = rib_.lookup(record.real.address);
  if (r.kind == RouteKind::kNone)
    if (const auto declared = next_hops_.declared()) r = *declared;
  const path::RouteIndex route = next_hops_.acquire(r, record.real.address, NextHops::Interest::kLasting);
  const path::RouteIndex before = reals_[i].route;
  if (route != before) reals_.edit(i, reclaimer_).route = route;
  next_hops_.release(before);
  if (route == before && r == record.resolution) return;
  record.resolution = std::move(r);
  write_real(i);
}

void Publisher::update_table(ServiceRecord& record, Change change) {
  auto ordinals = std::make_shared<std::vector<path::RealIndex>>();
  for (const uint32_t n : change.selected) {
    const lb::Real& real = change.spec->reals[n];
    ordinals->push_back(record.reals.at({real.address, real.port}));
  }
  BuiltTable built{.table = std::move(change.table),
                   .ordinals = std::move(ordinals),
                   .seed = gateway_.hash_seed,
                   .affinity = services_[record.index].affinity != 0};
  const BuiltTable& before = record.built;
  if (before == built) return;
  if (before.table != nullptr && built.table != nullptr) mark_moved(*built.table);
  keep_former(record.index, before, built);
  reclaimer_.later([before] {});
  path::Service& row = services_.edit(record.index, reclaimer_);
  row.table_offset = built.table != nullptr ? built.table->offset : 0;
  row.table_size = built.table != nullptr ? built.table->size() : 0;
  row.reals = built.ordinals->data();
  record.built = std::move(built);
  sweep_wish_ = true;
}

// Without a table there is nothing to go on by, and another seed moves every flow, what the kernel does too.
void Publisher::keep_former(path::ServiceIndex service, const BuiltTable& before, const BuiltTable& now) {
  if (mirror_ == nullptr) return;
  if (before.table == nullptr || now.table == nullptr || before.seed != now.seed) return drop_former(service);
  const auto [former, fresh] = formers_.try_emplace(service, Former{before, 0});
  // What the new one decides from now on is off this one's slots.
  if (fresh) mark_moved(*before.table);
  former->second.change = ++table_changes_;
}

void Publisher::drop_former(path::ServiceIndex service) {
  const auto it = formers_.find(service);
  if (it == formers_.end()) return;
  reclaimer_.later([old = std::move(it->second.table)] {});
  formers_.erase(it);
}

const BuiltTable* Publisher::former_table(path::ServiceIndex service) const {
  const auto it = formers_.find(service);
  return it == formers_.end() ? nullptr : &it->second.table;
}

// Of tables that nobody but the kernel goes by.
uint64_t Publisher::former_slots() const {
  std::map<const MaglevTables::Table*, std::pair<MaglevTables::TableRef, long>> named;
  for (const auto& [service, former] : formers_) {
    auto& [table, times] = named[former.table.table.get()];
    table = former.table.table;
    ++times;
  }
  uint64_t slots = 0;
  for (const auto& [address, of] : named)
    if (of.first.use_count() == of.second + 1) slots += of.first->size();
  return slots;
}

void Publisher::kernel_may_follow(uint64_t change) {
  std::vector<path::ServiceIndex> following;
  for (const auto& [service, former] : formers_)
    if (former.change <= change) following.push_back(service);
  if (following.empty()) return;
  for (const path::ServiceIndex i : following) {
    services_.edit(i, reclaimer_);  // so that the mirror writes it anew
    drop_former(i);
  }
  publish();
}

// Until the sweep has seen which connections they concern, all slots ask for exceptions.
void Publisher::mark_moved(const MaglevTables::Table& table) {
  for (uint16_t& slot : maglev_->slots(table)) set_slot(slot, slot | path::kSlotMoved);
  marked_[table.offset] = table.size();
}

// Another seed moves every flow: what was off its slot before says nothing now.
void Publisher::forget_exceptions() {
  std::vector<net::FlowKey6> keys;
  exceptions_.for_each([&](const net::FlowKey6& key, path::RealIndex) { keys.push_back(key); });
  for (const net::FlowKey6& key : keys) exceptions_.remove(key);
}

// What a real resolves to goes by the routes that it lies in, and their links and addresses.
void Publisher::routes_changed(const Changes& changes) {
  bool changed = next_hops_.refresh();
  const bool any_route = changes.all || changes.links || changes.addresses;
  addresses_changed_ |= any_route;
  const Networks networks(changes.routes);
  if (any_route || !changes.routes.empty())
    for (const auto& [i, record] : real_records_) {
      if (!any_route && !networks.contain(record.real.address)) continue;
      const path::RouteIndex before = reals_[i].route;
      const Resolution was = record.resolution;
      resolve_real(i);
      changed |= before != reals_[i].route || !(was == record.resolution);
    }
  changed |= addresses_changed_;
  if (changed) publish();
}

void Publisher::set_fib(const path::Fib* fib) {
  tables_->fib = fib;
  publish();
}

// ---- publication

// The addresses that only we send from: of translation, of the ports and of VLANs on them, and those that the kernel
// prefers to encapsulate from, which may be another link's (often lo's). Those configured for that are
// Tables::encap_sources.
std::set<net::IpAddress> Publisher::find_own_addresses() const {
  std::set<net::IpAddress> own;
  for (const auto& [address, reals] : encap_sources_) own.insert(address);
  for (const path::SnatAddress& s : gateway_.snat) own.insert(s.address);
  for (const auto& [ifindex, link] : rib_.links())
    if (ports_.contains(ifindex) || (link.vlan != 0 && ports_.contains(link.parent)))
      for (const Address& a : rib_.addresses(ifindex)) own.insert(a.address);
  return own;
}

void Publisher::rebuild_vips() {
  std::vector<path::VipTable::Entry> places(places_for(records_.size()));
  const size_t mask = places.size() - 1;
  for (const auto& [name, record] : records_) {
    size_t at = path::VipTable::hash(record.vip) & mask;
    while (places[at].service != path::kNone<path::ServiceIndex>) at = (at + 1) & mask;
    places[at] = {record.vip, record.index};
  }
  auto fresh = std::make_shared<Placed<path::VipTable>>(std::move(places));
  tables_->vips = &fresh->table;
  reclaimer_.later([old = std::exchange(vips_, std::move(fresh))] {});
}

void Publisher::rebuild_addresses() {
  std::set<net::IpAddress> own = find_own_addresses();
  std::vector<path::AddressTable::Entry> places(places_for(records_.size() + own.size()));
  const size_t mask = places.size() - 1;
  const auto add = [&](const net::IpAddress& address, unsigned flags) {
    size_t at = path::AddressTable::hash(address) & mask;
    while (places[at].flags != 0 && places[at].address != address) at = (at + 1) & mask;
    places[at] = {address, static_cast<uint8_t>(places[at].flags | flags)};
  };
  std::set<net::IpAddress> announced;
  for (const auto& [name, record] : records_) {
    add(record.vip.address, path::kAddressVip);
    if (record.announced) announced.insert(record.vip.address);
  }
  for (const net::IpAddress& a : own) add(a, path::kAddressOurs);
  for (size_t i = 0; i < gateway_.snat.size(); ++i)
    if (i < gateway_.announced.size() && gateway_.announced[i]) announced.insert(gateway_.snat[i].address);
  for (const net::IpAddress& a : announced) add(a, path::kAddressAnnounced);
  if (own != own_) ++steering_version_;
  own_ = std::move(own);
  if (announced != announced_) {
    ++announced_version_;
    ++steering_version_;
  }
  announced_ = std::move(announced);
  auto fresh = std::make_shared<Placed<path::AddressTable>>(std::move(places));
  tables_->addresses = &fresh->table;
  reclaimer_.later([old = std::exchange(addresses_, std::move(fresh))] {});
}

void Publisher::publish() {
  if (std::exchange(vips_changed_, false)) rebuild_vips();
  if (std::exchange(addresses_changed_, false)) rebuild_addresses();
  if (std::exchange(affinity_changed_, false))
    tables_->idle_timeouts[static_cast<size_t>(path::ConnectionState::kClient)] = longest_affinity();
  if (mirror_ != nullptr) mirror_->follow(*this);
  tables_->services = services_.publish();
  tables_->reals = reals_.publish();
  tables_->routes = next_hops_.publish_routes();
  tables_->next_hops = next_hops_.publish_next_hops();
  const auto* old = current_.exchange(new path::Tables(*tables_), std::memory_order_acq_rel);
  if (old != nullptr) reclaimer_.later([old] { delete old; });
  reclaimer_.published();
}

// ---- for the sweep

path::RealIndex Publisher::maglev_pick(path::ServiceIndex service, uint64_t flow_hash) const {
  const path::Service& s = services_[service];
  if (!s.present || s.table_size == 0) return path::kNone<path::RealIndex>;
  return s.reals[maglev_->base()[s.table_offset + gw_slot(flow_hash, s.table_size)] & path::kSlotOrdinal];
}

path::RealIndex Publisher::maglev_pick(const BuiltTable& table, uint64_t flow_hash) const {
  const MaglevTables::Table& t = *table.table;
  return (*table.ordinals)[maglev_->base()[t.offset + gw_slot(flow_hash, t.size())] & path::kSlotOrdinal];
}

void Publisher::set_moved(const std::unordered_map<path::ServiceIndex, std::vector<uint64_t>>& flow_hashes) {
  // By table, for services share them: the bits of one are those of all that use it.
  std::map<uint32_t, std::vector<uint32_t>> wanted;
  for (const auto& [service, hashes] : flow_hashes) {
    const path::Service& row = services_[service];
    if (!row.present || row.table_size == 0) continue;
    marked_[row.table_offset] = row.table_size;
    for (const uint64_t h : hashes) wanted[row.table_offset].push_back(gw_slot(h, row.table_size));
  }
  for (auto table = marked_.begin(); table != marked_.end();) {
    const auto [offset, size] = *table;
    std::vector<bool> moved(size);
    const auto it = wanted.find(offset);
    if (it != wanted.end())
      for (const uint32_t slot : it->second) moved[slot] = true;
    const auto slots = maglev_->slots(offset, size);
    for (uint32_t i = 0; i < size; ++i) {
      const auto slot = static_cast<uint16_t>((slots[i] & path::kSlotOrdinal) | (moved[i] ? path::kSlotMoved : 0));
      if (slot != slots[i]) set_slot(slots[i], slot);
    }
    table = it == wanted.end() ? marked_.erase(table) : std::next(table);
  }
}

void Publisher::reuse(const Retired& unseen) {
  for (const auto& [i, removal] : unseen.reals) {
    const auto it = retired_.reals.find(i);
    if (it != retired_.reals.end() && it->second == removal && !kernel_names(i)) release_real(i);
  }
  for (const auto& [i, removal] : unseen.services) {
    const auto it = retired_.services.find(i);
    if (it == retired_.services.end() || it->second != removal) continue;
    retired_.services.erase(it);
    if (const auto left = left_.find(i); left != left_.end()) {
      if (const auto vip = left_vips_.find(left->second.vip); vip != left_vips_.end() && vip->second == i)
        left_vips_.erase(vip);
      left_.erase(left);
    }
    reclaimer_.later([this, i = i] {
      identities_.clear(i);
      services_.release(i);
    });
  }
  if (!unseen.reals.empty() || !unseen.services.empty()) publish();
}

// A table that it goes by until kernel_may_follow() names the real.
bool Publisher::kernel_names(path::RealIndex i) const {
  const BuiltTable* const former = former_table(reals_[i].service);
  return former != nullptr && std::ranges::find(*former->ordinals, i) != former->ordinals->end();
}

void Publisher::release_real(path::RealIndex i) {
  const lb::Real& real = real_records_.at(i).real;
  if (const auto left = left_.find(reals_[i].service); left != left_.end())
    left->second.reals.erase({real.address, real.port});
  if (const auto record = by_index_.find(reals_[i].service); record != by_index_.end()) {
    ServiceRecord& owner = record->second->second;
    owner.gone.erase({real.address, real.port});
    std::ranges::transform(owner.removed, tally_.read(i), owner.removed.begin(), std::plus());
  }
  next_hops_.release(reals_[i].route);
  encapsulate_from(real_records_.at(i), {});
  reals_.edit(i, reclaimer_) = {};
  real_records_.erase(i);
  retired_.reals.erase(i);
  reclaimer_.later([this, i] {
    tally_.begin_anew(i);
    identities_.clear(i);
    reals_.release(i);
  });
}

Publisher::Served Publisher::served(path::ServiceIndex present) const {
  const auto& [name, record] = *by_index_.at(present);
  const auto spec = desired_.find(name);
  return {record.vip, record.built, former_table(present), spec != desired_.end() ? spec->second.rate_limit : 0};
}

std::optional<std::pair<path::ServiceIndex, path::RealIndex>> Publisher::find_real(path::VipKey vip,
                                                                                   const net::IpAddress& real) const {
  auto owner = vip_owner_.find(vip);
  if (owner == vip_owner_.end()) {
    vip.port = path::kAnyPort;
    owner = vip_owner_.find(vip);
  }
  if (owner == vip_owner_.end()) return std::nullopt;
  const ServiceRecord& record = records_.at(owner->second);
  for (const auto* reals : {&record.reals, &record.gone})
    if (const auto it = reals->lower_bound({real, 0}); it != reals->end() && it->first.first == real)
      return std::pair{record.index, it->second};
  return std::nullopt;
}

std::string Publisher::name_of(path::ServiceIndex i) const {
  const auto it = by_index_.find(i);
  return it == by_index_.end() ? std::string() : it->second->first;
}

std::unordered_set<path::ServiceIndex> Publisher::named_with(const std::string& prefix) const {
  std::unordered_set<path::ServiceIndex> found;
  for (auto it = records_.lower_bound(prefix); it != records_.end() && it->first.starts_with(prefix); ++it)
    found.insert(it->second.index);
  return found;
}

std::optional<Publisher::Counted> Publisher::counted_from(const std::string& name) const {
  const auto it = records_.lower_bound(name);
  if (it == records_.end()) return std::nullopt;
  Counted c{.name = it->first, .reals = {}, .removed = it->second.removed};
  for (const auto* rows : {&it->second.reals, &it->second.gone})
    for (const auto& [key, i] : *rows) c.reals.emplace_back(real_records_.at(i).real, i);
  return c;
}

}  // namespace guideway::control
