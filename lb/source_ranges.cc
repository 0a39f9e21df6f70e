#include "lb/source_ranges.h"

#include <algorithm>
#include <cstring>

namespace guideway::lb {

namespace {

// The prefix's highest address: all bits below it set.
net::IpAddress last_of(const net::Prefix& p) {
  net::IpAddress a = p.address;
  const unsigned kept = p.length + 128 - net::address_bits(p.address);
  for (unsigned i = 0; i < 16; ++i) {
    if (kept <= 8 * i)
      a.bytes[i] = 0xff;
    else if (kept < 8 * i + 8)
      a.bytes[i] |= static_cast<uint8_t>(0xffU >> (kept - 8 * i));
  }
  return a;
}

// A mapped address sorts among the IPv6 ones, and a prefix such as ::/0 would hold it.
bool before(const net::IpAddress& a, const net::IpAddress& b) {
  if (a.is_v4() != b.is_v4()) return a.is_v4();
  return std::memcmp(a.bytes.data(), b.bytes.data(), sizeof a.bytes) < 0;
}

}  // namespace

std::vector<SourceRange> source_ranges(std::span<const net::Prefix> prefixes) {
  std::vector<SourceRange> all;
  for (const net::Prefix& p : prefixes) all.push_back({p.address, last_of(p)});
  std::ranges::sort(all, [](const SourceRange& a, const SourceRange& b) {
    return before(a.first, b.first) || (a.first == b.first && before(b.last, a.last));
  });
  // Two prefixes either hold one another or have nothing in common.
  std::vector<SourceRange> kept;
  for (const SourceRange& r : all)
    if (kept.empty() || before(kept.back().last, r.first)) kept.push_back(r);
  return kept;
}

bool holds(std::span<const SourceRange> ranges, const net::IpAddress& address) {
  const auto after =
      std::ranges::partition_point(ranges, [&](const SourceRange& r) { return !before(address, r.first); });
  return after != ranges.begin() && !before((after - 1)->last, address);
}

}  // namespace guideway::lb
