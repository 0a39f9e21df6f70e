// Weighted Maglev hashing (Eisenbud et al., NSDI'16, section 3.4): a table of slots, each naming a real, of which a
// change of the reals moves few. Pure: no clock, no I/O, the same table for the same input at every gateway.
#pragma once

#include <cstdint>
#include <span>

namespace guideway::lb {

inline constexpr uint32_t kDefaultTableSize = 16'381;
inline constexpr uint32_t kMinTableSize = 251;
inline constexpr uint32_t kMaxTableSize = 655'373;
inline constexpr uint32_t kMaxReals = 0x7ffe;  // ordinals are 15 bits; the top bit of a slot is `moved`
inline constexpr uint32_t kMaxWeight = 65'535;

struct MaglevReal {
  uint64_t hash;    // of what the real is (address, port), with the group's seed
  uint32_t weight;  // 1 to kMaxWeight: its share of the slots is weight / sum of weights
};

// A prime in [kMinTableSize, kMaxTableSize].
bool is_table_size(uint32_t size);

// Fills `slots` (as many as the table's prime size) with ordinals in `reals`, which has 1 to kMaxReals members.
// The order of `reals` breaks ties: callers sort it, so that every gateway builds the same table.
void build_maglev(std::span<const MaglevReal> reals, std::span<uint16_t> slots);

}  // namespace guideway::lb
