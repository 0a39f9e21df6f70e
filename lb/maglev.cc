#include "lb/maglev.h"

#include <algorithm>
#include <vector>

#include "net/flow_hash.h"

namespace guideway::lb {

namespace {

constexpr uint16_t kEmpty = 0xffff;

// A real's walk through its permutation of the slots: offset + n × skip (mod size). Only this is kept of it: the
// permutations themselves would take reals × size numbers.
struct Walk {
  uint32_t next;
  uint32_t skip;
  uint32_t weight;
  uint32_t credit;
};

}  // namespace

bool is_table_size(uint32_t size) {
  if (size < kMinTableSize || size > kMaxTableSize) return false;
  for (uint32_t d = 2; d * d <= size; ++d)
    if (size % d == 0) return false;
  return true;
}

void build_maglev(std::span<const MaglevReal> reals, std::span<uint16_t> slots) {
  const auto size = static_cast<uint32_t>(slots.size());
  std::vector<Walk> walks;
  walks.reserve(reals.size());
  uint32_t heaviest = 1;
  for (const MaglevReal& r : reals) {
    const uint64_t second = gw_mix(r.hash);  // offset and skip must not follow from each other
    walks.push_back({gw_slot(r.hash, size), gw_slot(second, size - 1) + 1, r.weight, 0});
    heaviest = std::max(heaviest, r.weight);
  }
  std::ranges::fill(slots, kEmpty);

  // Turns interleave by cumulative weight over the whole table: a real takes one whenever its credit reaches the
  // heaviest weight, so that a partial last round costs each at most one turn.
  uint32_t left = size;
  while (true) {
    for (size_t i = 0; i < walks.size(); ++i) {
      Walk& w = walks[i];
      w.credit += w.weight;
      if (w.credit < heaviest) continue;
      w.credit -= heaviest;
      uint32_t at = w.next;
      while (slots[at] != kEmpty) {
        at += w.skip;
        if (at >= size) at -= size;
      }
      slots[at] = static_cast<uint16_t>(i);
      w.next = at;
      if (--left == 0) return;
    }
  }
}

}  // namespace guideway::lb
