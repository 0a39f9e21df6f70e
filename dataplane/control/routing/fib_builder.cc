#include "dataplane/control/routing/fib_builder.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "log/trouble.h"

namespace guideway::control {

using path::RouteIndex;

absl::StatusOr<std::unique_ptr<FibBuilder::Side>> FibBuilder::make_side(const FibLimits& limits) {
  auto v4 = FibWriter::create(FibWriter::Family::kV4, limits.blocks_v4);
  if (!v4.ok()) return v4.status();
  auto v6 = FibWriter::create(FibWriter::Family::kV6, limits.blocks_v6);
  if (!v6.ok()) return v6.status();
  const path::Fib fib{v4->table(), v6->table()};
  return std::unique_ptr<Side>(new Side{*std::move(v4), *std::move(v6), fib});
}

absl::StatusOr<std::unique_ptr<FibBuilder>> FibBuilder::create(const FibLimits& limits, Callbacks callbacks) {
  std::unique_ptr<FibBuilder> builder(new FibBuilder(limits, std::move(callbacks)));
  for (auto* side : {&builder->published_, &builder->standby_}) {
    auto made = make_side(limits);
    if (!made.ok()) return made.status();
    *side = *std::move(made);
  }
  builder->callbacks_.publish(builder->fib());
  return builder;
}

// The changes that change anything, each prefix once; removals first, for what they free may be needed.
std::vector<FibEntry> FibBuilder::needed(std::span<const FibEntry> changes) const {
  std::unordered_map<net::Prefix, RouteIndex> last;
  last.reserve(changes.size());
  for (const FibEntry& e : changes) last[e.prefix] = e.index;
  std::vector<FibEntry> out;
  for (const auto& [prefix, index] : last) {
    const auto known = content_.find(prefix);
    if (index != (known == content_.end() ? path::kNoRoute : known->second)) out.push_back({prefix, index});
  }
  std::partition(out.begin(), out.end(), [](const FibEntry& e) { return e.index == path::kNoRoute; });
  return out;
}

FibOwner FibBuilder::parent_of(const net::Prefix& prefix) const {
  for (unsigned length = prefix.length; length-- > 1;) {
    const auto found = content_.find(prefix_of(prefix.address, length));
    if (found != content_.end()) return {found->second, static_cast<uint8_t>(length)};
  }
  return {};
}

bool FibBuilder::write(Side& side, const FibEntry& e, FibOwner parent) {
  const bool v4 = e.prefix.address.is_v4();
  if (e.prefix.length == 0) {
    (v4 ? side.fib.v4 : side.fib.v6).fallback = e.index;
    return true;
  }
  FibWriter& writer = v4 ? side.v4 : side.v6;
  if (e.index != path::kNoRoute) return writer.add(e.prefix, e.index);
  writer.remove(e.prefix, parent);
  return true;
}

// content_ goes along with each write: a removal leaves its slots to the longest prefix that covers it at that moment,
// or blocks would be left over. Nothing, and nothing changed, if it doesn't fit.
std::optional<FibBuilder::Step> FibBuilder::step(Side& side, const FibEntry& e) {
  const auto known = content_.find(e.prefix);
  Step made{e, {}, known == content_.end() ? path::kNoRoute : known->second};
  if (e.index == path::kNoRoute) made.parent = parent_of(e.prefix);
  if (!write(side, e, made.parent)) return std::nullopt;
  if (e.index == path::kNoRoute)
    content_.erase(known);
  else
    content_[e.prefix] = e.index;
  return made;
}

absl::Status FibBuilder::refusal(const FibEntry& e) const {
  const std::string limit =
      e.prefix.address.is_v4()
          ? absl::StrCat(limits_.blocks_v4, " /24 networks with longer prefixes in them")
          : absl::StrCat(limits_.blocks_v6, " steps of 8 bits beyond the first 16 of all prefixes");
  return log::failure(absl::StatusCode::kResourceExhausted,
                      absl::StrCat("route ", to_string(e.prefix), " doesn't fit: the limit is ", limit),
                      "join some of them to shorter ones (ip route): it is tried again with every change there");
}

absl::Status FibBuilder::apply(std::span<const FibEntry> changes) {
  for (const FibEntry& e : changes)
    if (static_cast<uint32_t>(e.index) > path::kMaxRouteIndex)
      return log::failure(absl::StatusCode::kInvalidArgument,
                          absl::StrCat("route index ", static_cast<uint32_t>(e.index), " of ", to_string(e.prefix),
                                       " exceeds ", +path::kMaxRouteIndex),
                          "report this as a bug");
  const std::vector<FibEntry> batch = needed(changes);
  if (batch.empty()) return absl::OkStatus();
  std::vector<Step> steps;
  steps.reserve(batch.size());
  for (const FibEntry& e : batch) {
    if (auto made = step(*standby_, e)) {
      steps.push_back(*made);
      continue;
    }
    // Backwards, through states that have all fitted before.
    for (auto s = steps.rbegin(); s != steps.rend(); ++s) step(*standby_, {s->change.prefix, s->before});
    return refusal(e);
  }
  std::swap(published_, standby_);
  callbacks_.publish(fib());
  callbacks_.wait_until_quiescent();
  for (const Step& s : steps) write(*standby_, s.change, s.parent);  // the same from the same state: it fits
  return absl::OkStatus();
}

}  // namespace guideway::control
