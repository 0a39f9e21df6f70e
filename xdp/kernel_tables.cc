#include "xdp/kernel_tables.h"

#include <absl/strings/str_cat.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "log/trouble.h"
#include "net/address.h"
#include "xdp/complaints.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#include "xdp/steer.skel.h"
#pragma GCC diagnostic pop

namespace guideway::xdp {

namespace {

// The others are shared.
constexpr std::array<std::string_view, 7> kOwnMaps{"sockets", "heartbeats", "ports", "drops",
                                                   "counts",  "datagrams",  "begun"};
bool is_own(const bpf_map* map) { return std::ranges::find(kOwnMaps, bpf_map__name(map)) != kOwnMaps.end(); }

constexpr const char* kWhat = "making the BPF maps";

std::string to_string(const gw_vip_key& vip) {
  net::IpAddress address;
  static_assert(sizeof address.bytes == sizeof vip.address);
  std::memcpy(address.bytes.data(), &vip.address, sizeof vip.address);
  return net::to_string(address, ntohs(vip.port));
}

// The value of an array of one.
absl::Status set_only(const bpf_map* map, const void* value) {
  const uint32_t zero = 0;
  if (bpf_map_update_elem(bpf_map__fd(map), &zero, value, BPF_ANY) == 0) return absl::OkStatus();
  return map_error(errno, "write to", bpf_map__name(map));
}

}  // namespace

void Unload::operator()(steer_bpf* object) const { steer_bpf__destroy(object); }

absl::StatusOr<std::unique_ptr<KernelTables>> KernelTables::create() {
  keep_complaints();
  std::unique_ptr<KernelTables> t(new KernelTables);
  t->object_.reset(steer_bpf__open());
  if (t->object_ == nullptr) return load_error(errno, kWhat);
  bpf_program__set_autoload(t->object_->progs.gw_steer, false);
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, t->object_->obj) if (is_own(map)) bpf_map__set_autocreate(map, false);
  if (const int error = steer_bpf__load(t->object_.get()); error != 0) return load_error(-error, kWhat);
  const auto& maps = t->object_->maps;
  t->addresses_ = {bpf_map__fd(maps.addresses), "addresses", GW_MAX_ADDRESSES};
  const std::array<std::pair<SharedArray*, const bpf_map*>, 10> arrays{{{&t->vips, maps.vips},
                                                                        {&t->services, maps.services},
                                                                        {&t->slots, maps.slots},
                                                                        {&t->ordinals, maps.ordinals},
                                                                        {&t->ranges, maps.ranges},
                                                                        {&t->reals, maps.reals},
                                                                        {&t->routes, maps.routes},
                                                                        {&t->next_hops, maps.next_hops},
                                                                        {&t->recent, maps.recent},
                                                                        {&t->denied, maps.denied}}};
  for (const auto& [array, segments] : arrays) {
    const size_t lines = segments == maps.slots    ? GW_SLOT_LINES
                         : segments == maps.denied ? GW_DENIED_LINES
                                                   : GW_ROW_LINES;
    auto opened =
        SharedArray::open(bpf_map__fd(segments), bpf_map__name(segments), lines, bpf_map__max_entries(segments));
    if (!opened.ok()) return opened.status();
    *array = *std::move(opened);
    if (segments == maps.denied) continue;  // most have none
    // The first commits then find room.
    if (absl::Status s = array->provide(1); !s.ok()) return s;
  }
  t->vips_ = VipLines({t->vips.as<uint64_t>(), size_t{GW_VIP_LINES} * GW_VIP_PLACES}, t->services.as<gw_served>());
  return t;
}

absl::Status KernelTables::lend(steer_bpf* program) const {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, program->obj) {
    if (is_own(map) || bpf_map__is_internal(map)) continue;
    const bpf_map* shared = bpf_object__find_map_by_name(object_->obj, bpf_map__name(map));
    if (const int error = bpf_map__reuse_fd(map, bpf_map__fd(shared)); error != 0) return load_error(-error, kWhat);
  }
  return absl::OkStatus();
}

absl::Status KernelTables::put_vip(uint32_t row, const gw_vip_key& vip, const gw_service& service) {
  services.as<gw_served>()[row] = {.service = service, .zero = 0, .vip = vip};
  if (vips_.put(row)) return absl::OkStatus();
  return log::failure(absl::StatusCode::kResourceExhausted,
                      absl::StrCat("there is no room for VIP ", to_string(vip),
                                   ": too many VIPs stand in one place of the BPF map vips"),
                      "remove a VIP, or change its port: VIPs are spread by a hash of address, port and protocol");
}

absl::Status KernelTables::put_exception(const gw_flow_key& connection, uint32_t real) {
  if (bpf_map_update_elem(bpf_map__fd(object_->maps.exceptions), &connection, &real, BPF_ANY) == 0)
    return absl::OkStatus();
  return map_error(errno, "write to", "exceptions");
}

void KernelTables::remove_exception(const gw_flow_key& connection) {
  bpf_map_delete_elem(bpf_map__fd(object_->maps.exceptions), &connection);
}

// What stands there before or after has its bit all the time.
absl::Status KernelTables::set_addresses(std::span<const AddressEntry> addresses) {
  gw_ours ours{};
  gw_ours either = ours_;
  for (const AddressEntry& e : addresses) {
    if ((e.value.flags & GW_ADDRESS_OURS) == 0) continue;
    const uint32_t bit = gw_ours_bit(std::bit_cast<std::array<__u64, 2>>(e.key).data());
    for (gw_ours* of : {&ours, &either}) of->words[bit / 64] |= uint64_t{1} << bit % 64;
  }
  if (absl::Status s = set(either); !s.ok()) return s;
  if (absl::Status s = addresses_.set(addresses); !s.ok()) return s;
  return set(ours);
}

absl::Status KernelTables::set(const gw_ours& ours) {
  if (std::memcmp(&ours, &ours_, sizeof ours) == 0) return absl::OkStatus();
  absl::Status s = set_only(object_->maps.ours, &ours);
  if (s.ok()) ours_ = ours;
  return s;
}

absl::Status KernelTables::set(const gw_settings& settings) { return set_only(object_->maps.settings, &settings); }

absl::Status KernelTables::deny(uint64_t hash) {
  if (!denied_ready_) {
    if (absl::Status s = denied.provide(GW_DENIED_LINES); !s.ok()) return s;
    denied_ = HashLines({denied.as<uint64_t>(), size_t{GW_DENIED_LINES} * GW_DENIED_PLACES});
    denied_ready_ = true;
  }
  if (denied_.insert(hash)) return absl::OkStatus();
  return log::failure(absl::StatusCode::kResourceExhausted,
                      "too many denied prefixes stand in one place of the BPF map denied",
                      "deny fewer, or restart guideway-engine, which spreads them anew");
}

absl::Status KernelTables::set(const gw_filter& filter) { return set_only(object_->maps.filter, &filter); }

absl::StatusOr<gw_filter> KernelTables::filter() const {
  const uint32_t zero = 0;
  gw_filter filter{};
  if (bpf_map_lookup_elem(bpf_map__fd(object_->maps.filter), &zero, &filter) == 0) return filter;
  return map_error(errno, "read", "filter");
}

absl::Status KernelTables::set_bucket(uint32_t bucket, const gw_rate& rate) {
  const gw_bucket full{.rate = rate, .until = 0};
  if (bpf_map_update_elem(bpf_map__fd(object_->maps.buckets), &bucket, &full, BPF_ANY) == 0) return absl::OkStatus();
  return map_error(errno, "write to", "buckets");
}

}  // namespace guideway::xdp
