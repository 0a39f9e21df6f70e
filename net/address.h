// IP and MAC addresses: values, text and order.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "net/byte_order.h"

namespace guideway::net {

// Six bytes as they stand in an Ethernet header.
struct MacAddress {
  std::array<uint8_t, 6> bytes{};
  friend constexpr auto operator<=>(const MacAddress&, const MacAddress&) = default;
  constexpr bool is_zero() const { return *this == MacAddress{}; }
};
static_assert(sizeof(MacAddress) == 6 && alignof(MacAddress) == 1);

// An IPv6 address, or an IPv4 one as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2): one key for both families wherever speed
// isn't at stake. On the wire a real IPv4-mapped one is no address (RFC 4038): parse() drops it, so nothing is lost.
struct IpAddress {
  std::array<uint8_t, 16> bytes{};

  // In two words, as they stand: written byte by byte, they could not be read at once before the bytes are in the
  // cache.
  using Words = std::array<uint64_t, 2>;
  static constexpr IpAddress of(const Words& w) { return std::bit_cast<IpAddress>(w); }
  constexpr Words words() const { return std::bit_cast<Words>(bytes); }

  static constexpr IpAddress v4(Be32 a) { return of({0, uint64_t{a.wire()} << 32 | kMapped}); }
  constexpr bool is_v4() const { return words()[0] == 0 && (words()[1] & 0xffffffff) == kMapped; }
  // The IPv4 address; only if is_v4().
  constexpr Be32 as_v4() const { return Be32::from_wire(static_cast<uint32_t>(words()[1] >> 32)); }
  constexpr bool is_zero() const { return *this == IpAddress{}; }
  friend constexpr bool operator==(const IpAddress& a, const IpAddress& b) { return a.words() == b.words(); }
  friend constexpr auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  static constexpr uint32_t kMapped = 0xffff0000;  // two bytes of zeros, two of ones
};
static_assert(sizeof(IpAddress) == 16 && alignof(IpAddress) == 1);
static_assert(IpAddress::v4(Be32{0xc0000201}).bytes ==
              std::array<uint8_t, 16>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1});

// "192.0.2.1", "2001:db8::1" as inet_pton(3) takes them; no zone, no brackets, no leading zeros. Nothing otherwise.
std::optional<IpAddress> parse_ip(std::string_view text);
// "02:00:00:00:00:01"; nothing otherwise.
std::optional<MacAddress> parse_mac(std::string_view text);
// As protocols have addresses: 4 or 16 bytes in network order; of another number of bytes nothing.
std::optional<IpAddress> ip_of_bytes(std::string_view bytes);
std::string bytes_of(const IpAddress& a);
// The shortest form (RFC 5952).
std::string to_string(const IpAddress& a);
std::string to_string(const MacAddress& m);
// "192.0.2.1:80", "[2001:db8::1]:80".
std::string to_string(const IpAddress& a, uint16_t port);

}  // namespace guideway::net

template <>
struct std::hash<guideway::net::IpAddress> {
  size_t operator()(const guideway::net::IpAddress& a) const noexcept {
    const auto w = a.words();
    uint64_t h = w[0] * 0x9e3779b97f4a7c15U ^ w[1];
    h *= 0xff51afd7ed558ccdU;
    return h ^ h >> 32;
  }
};
