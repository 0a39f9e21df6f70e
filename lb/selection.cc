#include "lb/selection.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "net/flow_hash.h"

namespace guideway::lb {

RealState state_of(const Real& real) {
  return real.weight == 0 || real.terminating ? RealState::kDraining : RealState::kReady;
}

std::vector<uint32_t> select(std::span<const Real> reals) {
  std::vector<uint32_t> chosen;
  const auto take = [&](auto&& eligible) {
    for (uint32_t i = 0; i < reals.size(); ++i)
      if (eligible(reals[i])) chosen.push_back(i);
  };
  take([](const Real& r) { return r.weight > 0 && !r.terminating; });
  if (chosen.empty()) take([](const Real& r) { return r.weight > 0 && r.terminating; });
  std::ranges::sort(chosen, {}, [&](uint32_t i) { return std::tie(reals[i].address, reals[i].port); });
  return chosen;
}

bool operator==(const TableInput& a, const TableInput& b) {
  const auto same = [](const MaglevReal& x, const MaglevReal& y) { return x.hash == y.hash && x.weight == y.weight; };
  return a.size == b.size && std::ranges::equal(a.reals, b.reals, same);
}

TableInput table_input(std::span<const Real> reals, std::span<const uint32_t> selected, uint32_t size, uint64_t seed) {
  TableInput input{.size = size, .reals = {}};
  input.reals.reserve(selected.size());
  for (uint32_t i : selected) {
    uint64_t words[2];
    std::memcpy(words, reals[i].address.bytes.data(), sizeof words);
    const uint64_t hash = gw_mix(gw_mix(gw_mix(seed ^ words[0]) ^ words[1]) ^ reals[i].port);
    input.reals.push_back({hash, std::min(reals[i].weight, kMaxWeight)});
  }
  return input;
}

uint64_t digest(const TableInput& input) {
  uint64_t h = gw_mix(input.size);
  for (const MaglevReal& r : input.reals) h = gw_mix(gw_mix(h ^ r.hash) ^ r.weight);
  return h;
}

}  // namespace guideway::lb
