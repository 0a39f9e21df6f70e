// Integers as they stand on the wire. Built and read explicitly, compared, never computed with.
#pragma once

#include <bit>
#include <compare>
#include <cstdint>

namespace guideway::net {

static_assert(std::endian::native == std::endian::little,
              "the flow hash and the wire types assume a little-endian host");

// The class itself is packed: GCC 12 ignores `packed` of a struct whose member class isn't.
template <typename T>
class __attribute__((packed)) BigEndian {
 public:
  constexpr BigEndian() = default;
  constexpr explicit BigEndian(T host) : wire_(swap(host)) {}
  static constexpr BigEndian from_wire(T wire) {
    BigEndian b;
    b.wire_ = wire;
    return b;
  }
  constexpr T host() const { return swap(wire_); }
  constexpr T wire() const { return wire_; }
  friend constexpr bool operator==(BigEndian a, BigEndian b) { return a.wire_ == b.wire_; }
  friend constexpr auto operator<=>(BigEndian a, BigEndian b) { return a.host() <=> b.host(); }

 private:
  static constexpr T swap(T v) {
    if constexpr (sizeof(T) == 2) return __builtin_bswap16(v);
    if constexpr (sizeof(T) == 4) return __builtin_bswap32(v);
    if constexpr (sizeof(T) == 8) return __builtin_bswap64(v);
  }
  T wire_ = 0;
};

using Be16 = BigEndian<uint16_t>;
using Be32 = BigEndian<uint32_t>;
using Be64 = BigEndian<uint64_t>;
static_assert(sizeof(Be16) == 2 && alignof(Be16) == 1);
static_assert(sizeof(Be32) == 4 && alignof(Be32) == 1);
static_assert(sizeof(Be64) == 8 && alignof(Be64) == 1);

}  // namespace guideway::net
