#include "dataplane/control/kernel_mirror.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>

#include "dataplane/control/publisher.h"

namespace guideway::control {

namespace {

constexpr uint32_t kLeastBurst = 10;  // packets: what a client sends at once
constexpr uint32_t kSlotsOfLine = xdp::kLine / sizeof(uint16_t);

static_assert(static_cast<int>(path::Mode::kDsrL2) == GW_MODE_DSR_L2 &&
              static_cast<int>(path::Mode::kDsrIpip) == GW_MODE_DSR_IPIP &&
              static_cast<int>(path::Mode::kDsrGue) == GW_MODE_DSR_GUE &&
              static_cast<int>(path::Mode::kNat) == GW_MODE_NAT);
static_assert(path::kMaxPorts == GW_MAX_PORTS && path::kMaxEcmp == GW_MAX_ECMP && path::kSlotMoved == GW_SLOT_MOVED);
static_assert(sizeof(gw_line) == xdp::kLine && sizeof(gw_served) == xdp::kLine && sizeof(gw_real) == xdp::kLine &&
              sizeof(gw_route) == xdp::kLine && 2 * sizeof(gw_next_hop) == xdp::kLine &&
              2 * sizeof(gw_range) == xdp::kLine);
static_assert(lb::kMaxSourceRanges == GW_MAX_RANGES && kMaxExceptions == GW_MAX_EXCEPTIONS);
static_assert(sizeof(gw_flow_key) == sizeof(net::FlowKey6));
static_assert(uint64_t{GW_SLOT_LINES} * GW_SLOT_SEGMENTS * kSlotsOfLine >= 2 * uint64_t{MaglevTables::kSlots});
static_assert(GW_ROW_LINES * GW_ROW_SEGMENTS >= kMaxRealRows);
static_assert(GW_ROW_LINES * GW_ROW_SEGMENTS <= 1 << GW_VIP_ROW_BITS);
static_assert(uint64_t{GW_VIP_LINES} * GW_VIP_PLACES >= 4 * uint64_t{Limits().services});
static_assert(path::Recent::kWordsOfLine * sizeof(uint64_t) == xdp::kLine);
// Twice, for a service's new ones are written before its old ones go.
static_assert(uint64_t{GW_ROW_LINES} * GW_RANGE_SEGMENTS * xdp::kLine >=
              2 * uint64_t{Limits().services} * GW_MAX_RANGES * sizeof(gw_range));

gw_address kernel_address(const net::IpAddress& a) {
  gw_address out;
  std::memcpy(out.bytes, a.bytes.data(), sizeof out.bytes);
  return out;
}

gw_vip_key kernel_key(const path::VipKey& vip) {
  return {kernel_address(vip.address), vip.port.wire(), vip.protocol, {}};
}

gw_flow_key kernel_key(const net::FlowKey6& connection) {
  gw_flow_key out;
  std::memcpy(&out, &connection, sizeof out);
  return out;
}

gw_address_range kernel_range(const path::AddressRange& r) {
  return {.value = {r.value[0], r.value[1]}, .mask = {r.mask[0], r.mask[1]}};
}

// `burst`: packets; 0: a tenth of a second's.
gw_rate kernel_rate(uint32_t packets_per_second, uint32_t burst) {
  constexpr uint64_t kSecond = uint64_t{1'000'000'000} * GW_RATE_UNITS;
  if (packets_per_second == 0) return {};
  const uint64_t interval = kSecond / packets_per_second;
  if (burst == 0) burst = std::max(packets_per_second / 10, kLeastBurst);
  return {interval, interval * (burst - 1)};
}

gw_source_rate kernel_rate(const SourceRate& r) {
  gw_source_rate out{.rate = kernel_rate(r.packets_per_second, r.burst), .masks = {}};
  std::ranges::copy(net::mask_of(true, r.ipv4_length), out.masks[0]);
  std::ranges::copy(net::mask_of(false, r.ipv6_length), out.masks[1]);
  return out;
}

// Its run, or none, with the first reason why.
KernelLists::Run take(KernelLists& lists, size_t elements, size_t element_size, absl::Status& lack) {
  const auto run = lists.take(elements, element_size);
  lack.Update(run.status());
  return run.ok() ? *run : KernelLists::Run{};
}

template <typename Row>
uint32_t first_of(KernelLists::Run run) {
  return run.first * static_cast<uint32_t>(xdp::kLine / sizeof(Row));
}

}  // namespace

std::vector<xdp::AddressEntry> steered_addresses(const Publisher& publisher) {
  std::map<net::IpAddress, gw_address_value> addresses;
  for (const auto& [name, spec] : publisher.services()) {
    uint32_t& flags = addresses[spec.vip.address].flags;
    flags |= GW_ADDRESS_VIP;
    if (spec.vip.port == path::kAnyPort) flags |= GW_ADDRESS_ANY_PORT;
    // Also while it has no backend: what is asked then counts as a drop.
    if (spec.announce) flags |= GW_ADDRESS_ANNOUNCED;
  }
  const GatewaySpec& g = publisher.gateway();
  for (size_t i = 0; i < g.snat.size(); ++i) {
    gw_address_value& v = addresses[g.snat[i].address];
    v.port_min = g.snat[i].port_min;
    v.port_max = g.snat[i].port_max;
    v.flags |= g.dedicated[i] ? GW_ADDRESS_SNAT | GW_ADDRESS_DEDICATED : GW_ADDRESS_SNAT;
    if (i < g.announced.size() && g.announced[i]) v.flags |= GW_ADDRESS_ANNOUNCED;
  }
  for (const net::IpAddress& a : publisher.own_addresses()) addresses[a].flags |= GW_ADDRESS_OURS;
  for (const net::IpAddress& a : publisher.announced()) addresses[a].flags |= GW_ADDRESS_ANSWERED;
  std::vector<xdp::AddressEntry> entries;
  for (const auto& [a, value] : addresses) entries.push_back({kernel_address(a), value});
  return entries;
}

void Lacks::note(const char* what, size_t index, const absl::Status& s) {
  if (s.ok()) {
    if (!by_what_.empty()) by_what_.erase({what, index});
    return;
  }
  log::Trouble t = log::trouble_of(s, "kernel tables");
  t.text += ": while no engine runs the kernel doesn't balance that as the workers do";
  log::error(t);
  by_what_.insert_or_assign({what, index}, std::move(t));
}

std::vector<log::Trouble> Lacks::all() const {
  std::vector<log::Trouble> all;
  for (const auto& [what, t] : by_what_) all.push_back(t);
  return all;
}

absl::StatusOr<KernelLists::Run> KernelLists::take(size_t elements, size_t element_size) {
  if (elements == 0) return Run{};
  Run run{.first = 0,
          .lines = static_cast<uint32_t>(std::bit_ceil((elements * element_size + xdp::kLine - 1) / xdp::kLine))};
  if (auto& free = free_[run.lines]; !free.empty()) {
    run.first = free.back();
    free.pop_back();
    return run;
  }
  if (absl::Status s = array_.provide(size_t{end_} + run.lines); !s.ok()) return s;
  run.first = std::exchange(end_, end_ + run.lines);
  return run;
}

void KernelLists::settle() {
  for (const Run run : std::exchange(given_back_, {}))
    if (run.lines > 0) free_[run.lines].push_back(run.first);
}

KernelMirror::KernelMirror(xdp::KernelTables& tables, std::span<const PortFacts> ports,
                           std::chrono::nanoseconds heartbeat)
    : tables_(tables),
      heartbeat_(heartbeat),
      recent_({tables.recent.as<uint64_t>(), GW_RECENT_LINES * path::Recent::kWordsOfLine}),
      rows_(tables.services),
      ordinals_(tables.ordinals),
      ranges_(tables.ranges) {
  for (const PortFacts& p : ports) {
    ifindex_.resize(std::max<size_t>(ifindex_.size(), p.index + 1U));
    ifindex_[p.index] = static_cast<uint32_t>(std::max(p.ifindex, 0));
  }
}

SlotMemory KernelMirror::slots() {
  return {tables_.slots.as<uint16_t>(), [this](size_t slots) {
            const absl::Status s = tables_.slots.provide((slots + kSlotsOfLine - 1) / kSlotsOfLine);
            lacks_.note("slots", 0, s);
            return s.ok();
          }};
}

// Null if there is no memory for it, which is said.
template <typename Row>
Row* KernelMirror::place(xdp::SharedArray& array, const char* name, uint32_t index) {
  const absl::Status s = array.provide(size_t{index} * sizeof(Row) / xdp::kLine + 1);
  lacks_.note(name, index, s);
  return s.ok() ? array.as<Row>() + index : nullptr;
}

// A worker may be away while we write these rows, or we may be killed at any moment, and then the kernel goes by what
// stands there. So what others name comes first.
void KernelMirror::follow(const Publisher& publisher) {
  rows_.settle();
  ordinals_.settle();
  ranges_.settle();
  publisher.next_hops().for_each_edited([&](path::NextHopIndex i, const path::NextHop& hop) { write_next_hop(i, hop); },
                                        [&](path::RouteIndex i, const path::Route& route) { write_route(i, route); });
  for (const path::RealIndex i : publisher.edited_reals()) write_real(i, publisher.real(i));
  const std::set<path::ServiceIndex> services(publisher.edited_services().begin(), publisher.edited_services().end());
  for (const path::ServiceIndex i : services)
    if (publisher.service(i).present)
      write_service(i, publisher);
    else
      forget(i);
  // Last, for a VIP that one service leaves another may have taken, and its packets are steered all the time.
  for (const Vip& vip : std::exchange(left_, {})) give_back(vip);
  if (std::exchange(steering_version_, publisher.steering_version()) == publisher.steering_version()) return;
  const auto& sources = publisher.encap_sources();
  gw_settings settings{.hash_seed = publisher.gateway().hash_seed,
                       .heartbeat = static_cast<uint64_t>(heartbeat_.count()),
                       .encap_sources = {kernel_range(sources[0]), kernel_range(sources[1])},
                       .source_rate = kernel_rate(publisher.gateway().source_rate),
                       .ports = {}};
  std::ranges::copy(ifindex_, settings.ports);
  lacks_.note("settings", 0, tables_.set(settings));
  lacks_.note("addresses", 0, tables_.set_addresses(steered_addresses(publisher)));
}

void KernelMirror::put_exception(const net::FlowKey6& connection, path::RealIndex real) {
  const absl::Status s = tables_.put_exception(kernel_key(connection), static_cast<uint32_t>(real));
  if (s.ok()) return lacks_no_longer(connection);
  if (lacking_.insert(connection).second) lacks_.note("exceptions", 0, s);
}

void KernelMirror::remove_exception(const net::FlowKey6& connection) {
  tables_.remove_exception(kernel_key(connection));
  lacks_no_longer(connection);
}

void KernelMirror::lacks_no_longer(const net::FlowKey6& connection) {
  if (lacking_.erase(connection) > 0 && lacking_.empty()) lacks_.note("exceptions", 0, absl::OkStatus());
}

void KernelMirror::write_next_hop(path::NextHopIndex i, const path::NextHop& hop) {
  auto* row = place<gw_next_hop>(tables_.next_hops, "next hops", static_cast<uint32_t>(i));
  if (row == nullptr) return;
  const uint32_t ifindex = hop.port < ifindex_.size() ? ifindex_[hop.port] : 0;
  const net::DropReason unusable =
      hop.unusable == net::DropReason::NONE && ifindex == 0 ? net::DropReason::FOREIGN_PORT : hop.unusable;
  gw_next_hop fresh{.unusable = static_cast<uint32_t>(unusable),
                    .ifindex = ifindex,
                    .mtu = hop.mtu,
                    .vlan = hop.vlan.wire(),
                    .macs = {},
                    .zero = 0};
  std::memcpy(fresh.macs, hop.destination.bytes.data(), sizeof hop.destination);
  std::memcpy(fresh.macs + sizeof hop.destination, hop.source.bytes.data(), sizeof hop.source);
  *row = fresh;
}

void KernelMirror::write_route(path::RouteIndex i, const path::Route& route) {
  auto* row = place<gw_route>(tables_.routes, "routes", static_cast<uint32_t>(i));
  if (row == nullptr) return;
  gw_route fresh{.unusable = static_cast<uint32_t>(route.unusable), .count = route.count, .hops = {}};
  for (size_t h = 0; h < route.hops.size(); ++h) fresh.hops[h] = static_cast<uint32_t>(route.hops[h]);
  *row = fresh;
}

void KernelMirror::write_real(path::RealIndex i, const path::Real& real) {
  auto* row = place<gw_real>(tables_.reals, "reals", static_cast<uint32_t>(i));
  if (row == nullptr) return;
  uint32_t flags = 0;
  if (real.is_v4) flags |= GW_REAL_IPV4;
  if (real.has_encap_source) flags |= GW_REAL_ENCAP_SOURCE;
  if (real.on_link) flags |= GW_REAL_ON_LINK;
  if (real.state == lb::RealState::kGone) flags |= GW_REAL_GONE;
  *row = {.address = kernel_address(real.address),
          .encap_source = kernel_address(real.encap_source),
          .source_mask = real.source_mask,
          .route = static_cast<uint32_t>(real.route),
          .flags = flags,
          .zero = {}};
}

void KernelMirror::write_service(path::ServiceIndex i, const Publisher& publisher) {
  const path::Service& row = publisher.service(i);
  const auto [key, built, former, rate_limit] = publisher.served(i);
  const std::span ranges(row.ranges, row.range_count);
  absl::Status lack;
  const KernelLists::Run served = take(rows_, 1, sizeof(gw_served), lack);
  if (served.lines == 0) {
    lacks_.note("services", static_cast<size_t>(i), lack);
    return drop_all(i);
  }
  Vip vip{.row = served,
          .ordinals = {},
          .former_ordinals = {},
          .ranges = take(ranges_, ranges.size(), sizeof(gw_range), lack)};
  gw_service fresh{.table = write_ordinals(built, vip.ordinals, lack),
                   .former = former != nullptr ? write_ordinals(*former, vip.former_ordinals, lack) : gw_table{},
                   .ranges = first_of<gw_range>(vip.ranges),
                   .range_count = static_cast<uint16_t>(row.range_count),
                   .mtu = row.mtu,
                   .mode = static_cast<uint8_t>(row.mode),
                   .flags = 0,
                   .bucket = bucket_of(i, rate_limit, lack)};
  vip.bucket = fresh.bucket;
  vip.rate_limit = rate_limit;
  if (row.affinity != 0) fresh.flags |= GW_SERVICE_AFFINITY;
  if (row.ranges_deny) fresh.flags |= GW_SERVICE_DENY;
  if (former != nullptr && former->affinity) fresh.flags |= GW_SERVICE_FORMER_AFFINITY;
  if (vip.ranges.lines > 0)
    for (size_t n = 0; n < ranges.size(); ++n)
      tables_.ranges.as<gw_range>()[fresh.ranges + n] = {kernel_address(ranges[n].first),
                                                         kernel_address(ranges[n].last)};
  else if (!ranges.empty())
    fresh.table.size = 0;  // nobody may pass who shouldn't
  lack.Update(tables_.put_vip(vip.row.first, kernel_key(key), fresh));
  forget(i);
  services_.emplace(i, vip);
  lacks_.note("services", static_cast<size_t>(i), lack);
}

// There is no room for what it is now, and what it was names tables that will be another's.
void KernelMirror::drop_all(path::ServiceIndex i) {
  const auto it = services_.find(i);
  if (it == services_.end()) return;
  gw_service& service = tables_.services.as<gw_served>()[it->second.row.first].service;
  service.table.size = service.former.size = 0;
}

gw_table KernelMirror::write_ordinals(const BuiltTable& built, KernelLists::Run& run, absl::Status& lack) {
  if (built.table == nullptr) return {};
  run = take(ordinals_, built.ordinals->size(), sizeof(uint32_t), lack);
  if (run.lines == 0) return {};
  const gw_table table{built.table->offset, built.table->size(), first_of<uint32_t>(run)};
  for (size_t n = 0; n < built.ordinals->size(); ++n)
    tables_.ordinals.as<uint32_t>()[table.ordinals + n] = static_cast<uint32_t>((*built.ordinals)[n]);
  return table;
}

// The service keeps its bucket, and what is in it, while its limit stays. 0: it needs none, or there is none left,
// which is said.
uint16_t KernelMirror::bucket_of(path::ServiceIndex i, uint32_t rate_limit, absl::Status& lack) {
  if (rate_limit == 0) return 0;
  uint16_t bucket = 0;
  if (const auto old = services_.find(i); old != services_.end() && old->second.bucket != 0) {
    bucket = std::exchange(old->second.bucket, 0);
    if (old->second.rate_limit == rate_limit) return bucket;
  } else if (!free_buckets_.empty()) {
    bucket = free_buckets_.back();
    free_buckets_.pop_back();
  } else if (next_bucket_ < GW_MAX_BUCKETS) {
    bucket = next_bucket_++;
  } else {
    lack.Update(log::failure(absl::StatusCode::kResourceExhausted, "no bucket is left for the rate limit of a VIP",
                             "take the limit off others, then change this VIP's"));
    return 0;
  }
  lack.Update(tables_.set_bucket(bucket, kernel_rate(rate_limit, 0)));
  return bucket;
}

// What it was is given back once its VIP goes by another row, or is gone.
void KernelMirror::forget(path::ServiceIndex i) {
  const auto it = services_.find(i);
  lacks_.note("services", static_cast<size_t>(i), absl::OkStatus());
  if (it == services_.end()) return;
  left_.push_back(it->second);
  services_.erase(it);
}

void KernelMirror::give_back(const Vip& vip) {
  tables_.remove_vip(vip.row.first);
  rows_.give_back(vip.row);
  ordinals_.give_back(vip.ordinals);
  ordinals_.give_back(vip.former_ordinals);
  ranges_.give_back(vip.ranges);
  if (vip.bucket != 0) free_buckets_.push_back(vip.bucket);
}

}  // namespace guideway::control
