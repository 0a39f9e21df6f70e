#include "dataplane/control/routing/fib_builder.h"

#include <absl/strings/str_cat.h>
#include <rte_errno.h>
#include <rte_memory.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

namespace guideway::control {
namespace {

using path::Fib;
using path::RouteIndex;

// Names are process-wide in DPDK.
std::string next_name() {
  static std::atomic<unsigned> count{0};
  return absl::StrCat("gw_fib_", ++count);
}

absl::Status no_memory(std::string_view family, const std::string& why) {
  return absl::ResourceExhaustedError(absl::StrCat("no room for the ", std::string(family),
                                                   " routes in DPDK's memory (", why,
                                                   "): give the engine more, or lower the limits of routes"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Fib>> FibBuilder::make(const FibLimits& limits) {
  std::unique_ptr<Fib> fib(new Fib);
  rte_fib_conf v4{};
  v4.type = RTE_FIB_DIR24_8;
  v4.default_nh = static_cast<uint64_t>(path::kNoRoute);
  v4.max_routes = static_cast<int>(limits.max_routes_v4);
  v4.dir24_8.nh_sz = limits.wide ? RTE_FIB_DIR24_8_4B : RTE_FIB_DIR24_8_2B;
  v4.dir24_8.num_tbl8 = limits.tbl8s_v4;
  fib->v4_.reset(rte_fib_create(next_name().c_str(), SOCKET_ID_ANY, &v4));
  if (!fib->v4_) return no_memory("IPv4", rte_strerror(rte_errno));
  rte_fib6_conf v6{};
  v6.type = RTE_FIB6_TRIE;
  v6.default_nh = static_cast<uint64_t>(path::kNoRoute);
  v6.max_routes = static_cast<int>(limits.max_routes_v6);
  v6.trie.nh_sz = limits.wide ? RTE_FIB6_TRIE_4B : RTE_FIB6_TRIE_2B;
  v6.trie.num_tbl8 = limits.tbl8s_v6;
  fib->v6_.reset(rte_fib6_create(next_name().c_str(), SOCKET_ID_ANY, &v6));
  if (!fib->v6_) return no_memory("IPv6", rte_strerror(rte_errno));
  return fib;
}

absl::StatusOr<std::unique_ptr<FibBuilder>> FibBuilder::create(const FibLimits& limits, Callbacks callbacks) {
  std::unique_ptr<FibBuilder> builder(new FibBuilder(limits, std::move(callbacks)));
  for (auto* side : {&builder->published_, &builder->standby_}) {
    auto fib = make(limits);
    if (!fib.ok()) return fib.status();
    *side = *std::move(fib);
  }
  builder->callbacks_.publish(builder->published_.get());
  return builder;
}

// DPDK's answer: 0 or a negative errno.
int FibBuilder::write(Fib& fib, const FibEntry& e) {
  const auto next_hop = static_cast<uint64_t>(e.index);
  if (e.prefix.address.is_v4()) {
    const uint32_t ip = e.prefix.address.as_v4().host();
    return e.index == path::kNoRoute ? rte_fib_delete(fib.v4_.get(), ip, e.prefix.length)
                                     : rte_fib_add(fib.v4_.get(), ip, e.prefix.length, next_hop);
  }
  const uint8_t* ip = e.prefix.address.bytes.data();
  return e.index == path::kNoRoute ? rte_fib6_delete(fib.v6_.get(), ip, e.prefix.length)
                                   : rte_fib6_add(fib.v6_.get(), ip, e.prefix.length, next_hop);
}

// The changes that change anything, each prefix once; removals first, for what they free may be needed.
std::vector<FibEntry> FibBuilder::needed(std::span<const FibEntry> changes) const {
  std::unordered_map<Prefix, RouteIndex> last;
  for (const FibEntry& e : changes) last[e.prefix] = e.index;
  std::vector<FibEntry> out;
  for (const auto& [prefix, index] : last) {
    const auto known = content_.find(prefix);
    if (index != (known == content_.end() ? path::kNoRoute : known->second)) out.push_back({prefix, index});
  }
  std::partition(out.begin(), out.end(), [](const FibEntry& e) { return e.index == path::kNoRoute; });
  return out;
}

absl::Status FibBuilder::refusal(const FibEntry& e, int error) const {
  const bool v4 = e.prefix.address.is_v4();
  const std::string subject =
      absl::StrCat("route ", to_string(e.prefix), " (index ", static_cast<uint32_t>(e.index), ")");
  if (error == ENOSPC || error == ENOMEM)
    return absl::ResourceExhaustedError(absl::StrCat(
        subject, " doesn't fit: the limit is ", v4 ? limits_.max_routes_v4 : limits_.max_routes_v6,
        v4 ? " IPv4 routes, and " : " IPv6 routes, and ", v4 ? limits_.tbl8s_v4 : limits_.tbl8s_v6,
        v4 ? " /24 networks with longer prefixes in them" : " steps of 8 bits beyond the first 24 of all prefixes"));
  return absl::InternalError(absl::StrCat(subject, " was refused: ", rte_strerror(error)));
}

// On failure what was written is taken back in reverse, through states that have all fitted before.
absl::Status FibBuilder::write_all(Fib& fib, std::span<const FibEntry> changes) const {
  for (size_t i = 0; i < changes.size(); ++i) {
    const int rc = write(fib, changes[i]);
    if (rc == 0) continue;
    for (size_t back = i; back-- > 0;) {
      const auto before = content_.find(changes[back].prefix);
      write(fib, {changes[back].prefix, before == content_.end() ? path::kNoRoute : before->second});
    }
    return refusal(changes[i], -rc);
  }
  return absl::OkStatus();
}

absl::Status FibBuilder::apply(std::span<const FibEntry> changes) {
  for (const FibEntry& e : changes)
    if (static_cast<uint32_t>(e.index) > max_index())
      return absl::InvalidArgumentError(absl::StrCat("route index ", static_cast<uint32_t>(e.index), " of ",
                                                     to_string(e.prefix), " exceeds ", max_index()));
  const std::vector<FibEntry> batch = needed(changes);
  if (batch.empty()) return absl::OkStatus();
  if (absl::Status s = write_all(*standby_, batch); !s.ok()) return s;
  std::swap(published_, standby_);
  callbacks_.publish(published_.get());
  callbacks_.wait_until_quiescent();
  // The same writes to the same state end the same.
  if (absl::Status s = write_all(*standby_, batch); !s.ok())
    return absl::InternalError(absl::StrCat("the two copies of the routes differ: ", s.message()));
  for (const FibEntry& e : batch) {
    if (e.index == path::kNoRoute)
      content_.erase(e.prefix);
    else
      content_[e.prefix] = e.index;
  }
  return absl::OkStatus();
}

absl::Status FibBuilder::replace(std::span<const FibEntry> entries) {
  std::vector<FibEntry> changes;
  changes.reserve(content_.size() + entries.size());
  for (const auto& [prefix, index] : content_) changes.push_back({prefix, path::kNoRoute});
  changes.insert(changes.end(), entries.begin(), entries.end());
  return apply(changes);
}

}  // namespace guideway::control
