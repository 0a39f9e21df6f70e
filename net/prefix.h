// An address prefix of either family, masked, as a key. Its length counts in the family's own bits: 0–32 or 0–128.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/address.h"
#include "net/flow_hash.h"

namespace guideway::net {

struct Prefix {
  IpAddress address;  // the bits beyond the length are zero
  uint8_t length = 0;

  friend constexpr auto operator<=>(const Prefix&, const Prefix&) = default;
};

constexpr unsigned address_bits(const IpAddress& a) { return a.is_v4() ? 32 : 128; }

// The prefix that `length` leading bits of `a` make; length at most address_bits(a).
constexpr Prefix prefix_of(IpAddress a, unsigned length) {
  const unsigned kept = length + 128 - address_bits(a);
  for (unsigned i = 0; i < 16; ++i) {
    if (kept <= 8 * i)
      a.bytes[i] = 0;
    else if (kept < 8 * i + 8)
      a.bytes[i] &= static_cast<uint8_t>(0xff00U >> (kept - 8 * i));
  }
  return {a, static_cast<uint8_t>(length)};
}

// What a prefix of `length` bits keeps of an address's words; all of the 96 bits that stand before an IPv4 address's.
constexpr IpAddress::Words mask_of(bool v4, unsigned length) {
  IpAddress ones;
  ones.bytes.fill(0xff);
  return prefix_of(ones, v4 ? length + 96 : length).address.words();
}

constexpr bool contains(const Prefix& p, const IpAddress& a) {
  return a.is_v4() == p.address.is_v4() && prefix_of(a, p.length).address == p.address;
}

// "192.0.2.0/24", "2001:db8::/32", or an address: a prefix of all its bits. Bits beyond the length may be set, and are
// cleared. Nothing otherwise.
std::optional<Prefix> parse_prefix(std::string_view text);

// Many prefixes are told in parts, about as large each: daemon and engine must mean the same one.
inline constexpr uint32_t kPrefixParts = 256;
inline uint32_t part_of(const Prefix& p) {
  const auto words = p.address.words();
  return gw_slot(gw_mix(gw_mix(words[0] ^ p.length) ^ words[1]), kPrefixParts);
}

inline std::string to_string(const Prefix& p) { return net::to_string(p.address) + "/" + std::to_string(p.length); }

}  // namespace guideway::net

template <>
struct std::hash<guideway::net::Prefix> {
  size_t operator()(const guideway::net::Prefix& p) const noexcept {
    return (std::hash<guideway::net::IpAddress>{}(p.address) ^ p.length) * 0x9e3779b97f4a7c15U;
  }
};
