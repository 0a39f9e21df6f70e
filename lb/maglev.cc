#include "lb/maglev.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>
#include <vector>

#include "net/flow_hash.h"

namespace guideway::lb {

namespace {

constexpr uint32_t kAhead = 32;  // a bit each in Walk::ahead

// n (mod size) without a branch; n is below 2 × size.
uint32_t wrap(uint32_t n, uint32_t size) { return std::min(n, n - size); }

// 1 / n modulo a prime, by Euclid's algorithm.
uint32_t inverse(uint32_t n, uint32_t prime) {
  int64_t x = 1;
  int64_t y = 0;
  for (uint32_t a = n, b = prime; a > 1;) {
    const int64_t quotient = b / a;
    b = std::exchange(a, b % a);
    y = std::exchange(x, y - quotient * x);
  }
  return static_cast<uint32_t>(x < 0 ? x + prime : x);
}

// A real's permutation of the slots: offset + rank × skip (mod size). Only this is kept of it, as the permutations
// themselves would take reals × size numbers. A turn takes the free slot of least rank.
struct Walk {
  Walk(const MaglevReal& real, uint16_t own_ordinal, uint32_t size)
      : offset(gw_slot(real.hash, size)),
        skip(gw_slot(gw_mix(real.hash), size - 1) + 1),  // mixed anew: they must not follow from each other
        weight(real.weight),
        ordinal(own_ordinal) {
    uint32_t next = offset;
    for (uint32_t& at : block) at = std::exchange(next, wrap(next + skip, size));
    stride = wrap(next + size - offset, size);
  }

  // Whether a slot is free is a coin toss, which branch prediction loses: the answers of a block go into a mask.
  void look_ahead(std::span<const uint8_t> free) {
    for (uint32_t& at : block) at = wrap(at + stride, static_cast<uint32_t>(free.size()));
    std::array<uint32_t, 4> bytes{};  // side by side, for one long mask is one long chain of additions
    for (size_t bit = 8; bit-- > 0;)
      for (size_t i = 0; i < 4; ++i) bytes[i] = 2 * bytes[i] + free[block[8 * i + bit]];
    ahead = bytes[0] | bytes[1] << 8 | bytes[2] << 16 | bytes[3] << 24;
  }

  uint32_t take(std::span<uint8_t> free) {
    uint32_t at;
    do {
      while (ahead == 0) look_ahead(free);
      at = block[static_cast<size_t>(std::countr_zero(ahead))];
      ahead &= ahead - 1;
    } while (free[at] == 0);  // taken since
    free[at] = 0;
    return at;
  }

  // Turns interleave by cumulative weight over the whole table: a real takes one whenever its credit reaches the
  // heaviest weight, so that a partial last round costs each at most one turn.
  bool due(uint32_t heaviest) {
    credit += weight;
    if (credit < heaviest) return false;
    credit -= heaviest;
    return true;
  }

  uint32_t offset;
  uint32_t skip;
  uint32_t weight;
  uint16_t ordinal;
  uint32_t credit = 0;
  std::array<uint32_t, kAhead> block;  // slots of kAhead ranks
  uint32_t stride;                     // from one block to the next: kAhead × skip (mod size)
  uint32_t ahead = 0xffff'ffff;        // those of the block that were free and weren't taken yet
  uint32_t inverse_skip = 0;           // once LastSlots needs it
};

// The empty slots when they are few: to walk to the next one takes size / few steps, to compare their ranks, few.
class LastSlots {
 public:
  // Until they are taken, `slots` tells their places here.
  LastSlots(std::span<uint16_t> slots, std::span<const uint8_t> free, uint32_t count) : slots_(slots), empty_(count) {
    const uint8_t* next = free.data();
    const uint8_t* const end = next + free.size();
    for (uint32_t& at : empty_) {
      next = static_cast<const uint8_t*>(std::memchr(next, 1, static_cast<size_t>(end - next)));
      at = static_cast<uint32_t>(next++ - free.data());
    }
    for (size_t i = 0; i < count; ++i) slots[empty_[i]] = static_cast<uint16_t>(i);
  }

  uint32_t take(Walk& w) {
    const auto size = static_cast<uint32_t>(slots_.size());
    if (w.inverse_skip == 0) w.inverse_skip = inverse(w.skip, size);
    const uint32_t rank = size <= kMaxSize32 ? least_rank<uint32_t>(w) : least_rank<uint64_t>(w);
    const auto at = static_cast<uint32_t>((w.offset + uint64_t{rank} * w.skip) % size);
    empty_[slots_[at]] = empty_.back();
    slots_[empty_.back()] = slots_[at];
    empty_.pop_back();
    return at;
  }

 private:
  static constexpr uint32_t kMaxSize32 = 46'340;  // the root of 2^31

  // rank = (slot - offset) / skip (mod size). As a fraction of `size`, in units of 2^-bits and rounded up, 1 / skip
  // needs no modulo but that of the type: what exceeds one falls off. A rank's error is that of one unit times a
  // distance below 2 × size, which must stay below one rank's 2^bits / size. The compiler makes vectors of 32 bits.
  template <typename Fraction>
  uint32_t least_rank(const Walk& w) const {
    constexpr int kBits = sizeof(Fraction) * 8;
    __extension__ using Wide = unsigned __int128;
    const auto size = static_cast<uint32_t>(slots_.size());
    const auto step = static_cast<Fraction>((Wide{w.inverse_skip} << kBits) / size + 1);
    Fraction least = ~Fraction{0};
    for (const uint32_t slot : empty_) least = std::min<Fraction>(least, (slot + size - w.offset) * step);
    return static_cast<uint32_t>(Wide{least} * size >> kBits);
  }

  std::span<uint16_t> slots_;
  std::vector<uint32_t> empty_;
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
  for (const MaglevReal& r : reals) walks.emplace_back(r, static_cast<uint16_t>(walks.size()), size);
  const uint32_t heaviest = std::ranges::max(reals, {}, &MaglevReal::weight).weight;
  const bool equal = std::ranges::all_of(reals, [&](const MaglevReal& r) { return r.weight == heaviest; });
  std::vector<uint8_t> free(size, 1);     // a byte each: a word and a shift would cost the inner loop twice as much
  std::ranges::fill(slots, uint16_t{0});  // in order, or each turn would wait for a part that isn't in the core's cache

  uint32_t left = size;
  auto w = walks.begin();
  const auto turns = [&, end = walks.end()](uint32_t until, auto&& take) {
    while (left > until) {
      if (equal || w->due(heaviest)) {
        slots[take(*w)] = w->ordinal;
        --left;
      }
      if (++w == end) w = walks.begin();
    }
  };
  // A step of a walk costs about three ranks (measured), so that from here on these are cheaper.
  uint32_t few = 1;
  while (few * few < 3 * size) ++few;
  turns(few, [&](Walk& real) { return real.take(free); });
  LastSlots last(slots, free, left);
  turns(0, [&](Walk& real) { return last.take(real); });
}

}  // namespace guideway::lb
