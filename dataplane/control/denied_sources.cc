#include "dataplane/control/denied_sources.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <iterator>
#include <random>

#include "log/trouble.h"

namespace guideway::control {

DeniedSources::DeniedSources(xdp::KernelTables* tables) : tables_(tables) {
  std::random_device random;
  secret_ = static_cast<uint64_t>(random()) << 32 | random();
}

uint32_t DeniedSources::lengths(const Counts& counts, bool v4) {
  return static_cast<uint32_t>(std::ranges::count_if(counts[v4 ? 0 : 1], [](uint32_t n) { return n > 0; }));
}

// `by`: 1, or its complement.
void DeniedSources::count(Counts& counts, const std::vector<net::Prefix>& prefixes, uint32_t by) {
  for (const net::Prefix& p : prefixes) counts[p.address.is_v4() ? 0 : 1][p.length] += by;
}

std::optional<Refusal> DeniedSources::check(bool full, const std::vector<DeniedPart>& parts) const {
  if (!full && parts.empty()) return std::nullopt;
  std::set<uint32_t> named;
  Counts counts = full ? Counts{} : counts_;
  uint64_t prefixes = full ? 0 : prefixes_;
  for (const DeniedPart& part : parts) {
    if (!named.insert(part.number).second)
      return Refusal{kDeniedEntry, absl::StrCat("part ", part.number), "named twice in one batch"};
    count(counts, part.prefixes, 1);
    prefixes += part.prefixes.size();
    if (full) continue;
    count(counts, *parts_[part.number].wanted, ~0U);
    prefixes -= parts_[part.number].wanted->size();
  }
  if (prefixes > kMaxDeniedPrefixes)
    return Refusal{kDeniedEntry, "", absl::StrCat("more than ", kMaxDeniedPrefixes, " denied prefixes")};
  for (const bool v4 : {true, false})
    if (lengths(counts, v4) > kMaxDeniedLengths)
      return Refusal{kDeniedEntry, v4 ? "ipv4" : "ipv6",
                     absl::StrCat("more than ", kMaxDeniedLengths, " different prefix lengths")};
  return std::nullopt;
}

void DeniedSources::take(bool full, std::vector<DeniedPart> parts) {
  if (!full && parts.empty()) return;
  std::set<uint32_t> rest;
  if (full)
    for (uint32_t n = 0; n < net::kPrefixParts; ++n) rest.insert(n);
  const auto want = [this](uint32_t number, std::vector<net::Prefix> prefixes) {
    Part& part = parts_[number];
    if (*part.wanted == prefixes) return;
    count(counts_, *part.wanted, ~0U);
    count(counts_, prefixes, 1);
    prefixes_ += static_cast<uint32_t>(prefixes.size() - part.wanted->size());
    part.wanted = std::make_shared<const std::vector<net::Prefix>>(std::move(prefixes));
    changed_.insert(number);
  };
  for (DeniedPart& part : parts) {
    want(part.number, std::move(part.prefixes));
    rest.erase(part.number);
  }
  for (const uint32_t number : rest) want(number, {});
  rests_ = false;
  if (!changed_.empty()) tell_lengths();
}

bool DeniedSources::step() {
  if (changed_.empty() || rests_) return false;
  Part& part = parts_[*changed_.begin()];
  failure_ = bring(part);
  if (!failure_.ok()) {
    rests_ = true;
    return false;
  }
  changed_.erase(changed_.begin());
  return !changed_.empty();
}

// What has been done of it before a failure is done again without harm.
absl::Status DeniedSources::bring(Part& part) {
  if (tables_ != nullptr) {
    std::vector<net::Prefix> difference;
    std::ranges::set_difference(*part.stands, *part.wanted, std::back_inserter(difference));
    for (const net::Prefix& p : difference) tables_->admit(hash(p));
    difference.clear();
    std::ranges::set_difference(*part.wanted, *part.stands, std::back_inserter(difference));
    for (const net::Prefix& p : difference)
      if (absl::Status s = tables_->deny(hash(p)); !s.ok()) return s;
  }
  part.stands = part.wanted;
  return absl::OkStatus();
}

uint64_t DeniedSources::seed(bool v4, unsigned length) const { return gw_mix(secret_ + (v4 ? 0U : 256U) + length); }

uint64_t DeniedSources::hash(const net::Prefix& p) const {
  const auto words = p.address.words();
  const __u64 masked[2] = {words[0], words[1]};
  const bool v4 = p.address.is_v4();
  return gw_denied_hash(seed(v4, p.length), masked, v4 ? 0 : 1);
}

// The length that most prefixes have first: of those the next one that is looked for probably is.
void DeniedSources::tell_lengths() {
  if (tables_ == nullptr) return;
  gw_filter filter{};
  for (const bool v4 : {true, false}) {
    const auto& counts = counts_[v4 ? 0 : 1];
    std::vector<unsigned> used;
    for (unsigned length = 0; length < counts.size(); ++length)
      if (counts[length] > 0) used.push_back(length);
    std::ranges::stable_sort(used, std::greater<>(), [&](unsigned length) { return counts[length]; });
    uint32_t& n = filter.counts[v4 ? 0 : 1];
    for (const unsigned length : used) {
      const auto mask = net::mask_of(v4, length);
      filter.lengths[v4 ? 0 : 1][n++] = {{mask[0], mask[1]}, seed(v4, length)};
    }
  }
  if (absl::Status s = tables_->set(filter); !s.ok()) failure_ = std::move(s);
}

bool DeniedSources::denies(const net::IpAddress& source) const {
  const bool v4 = source.is_v4();
  for (unsigned length = 0; length <= net::address_bits(source); ++length) {
    if (counts_[v4 ? 0 : 1][length] == 0) continue;
    const net::Prefix p = net::prefix_of(source, length);
    if (std::ranges::binary_search(*parts_[net::part_of(p)].wanted, p)) return true;
  }
  return false;
}

absl::Status DeniedSources::trouble() const {
  if (tables_ == nullptr && prefixes_ > 0)
    return log::failure(absl::StatusCode::kFailedPrecondition, "no port has an XDP program, which is what drops",
                        "give the engine a port af_xdp");
  return failure_;
}

}  // namespace guideway::control
