// The Internet checksum (RFC 1071) and its incremental update (RFC 1624). Sums are over words as they stand on the
// wire; a one's complement sum doesn't care for byte order as long as it is the same throughout.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "net/headers.h"

namespace guideway::net {

// One half is added to the other with its carry: the upper half of the sum of a number and of its halves exchanged.
constexpr uint16_t fold(uint64_t sum) {
  const auto words = static_cast<uint32_t>((sum + std::rotl(sum, 32)) >> 32);
  return static_cast<uint16_t>((words + std::rotl(words, 16)) >> 16);
}

// One's complement sum of `length` bytes, unfolded: add several, then fold once.
inline uint64_t sum_of(const void* bytes, size_t length) {
  const auto* p = static_cast<const uint8_t*>(bytes);
  uint64_t sum = 0;
  for (; length >= 4; length -= 4, p += 4) {
    uint32_t w;
    std::memcpy(&w, p, 4);
    sum += w;
  }
  uint32_t tail = 0;
  if (length > 0) std::memcpy(&tail, p, length);
  return sum + tail;
}

// The same of an IPv4 header without options: five words, no loop.
inline uint64_t sum_of(const Ipv4Header& h) {
  uint64_t a;
  uint64_t b;
  uint32_t c;
  std::memcpy(&a, &h, 8);
  std::memcpy(&b, reinterpret_cast<const uint8_t*>(&h) + 8, 8);
  std::memcpy(&c, reinterpret_cast<const uint8_t*>(&h) + 16, 4);
  return (a & 0xffffffff) + (a >> 32) + (b & 0xffffffff) + (b >> 32) + c;
}

// The same of an IP header's two addresses, of either family, as pseudo headers have them.
template <typename Header>
uint64_t address_sum(const Header* h) {
  return sum_of(&h->source, sizeof h->source) + sum_of(&h->destination, sizeof h->destination);
}

// The same of what stands for an IPv6 header in the checksum of `length` bytes behind it (RFC 8200, 8.1).
inline uint64_t pseudo_sum(const Ipv6Header* h, Protocol inside, uint32_t length) {
  return address_sum(h) + Be32{length}.wire() + Be32{static_cast<uint32_t>(inside)}.wire();
}

// Zero if the IPv4 header (20 bytes and its options) carries its right checksum; else what is missing.
inline uint16_t ipv4_header_error(const Ipv4Header* h, size_t header_length) {
  const uint64_t sum = header_length == sizeof *h ? sum_of(*h) : sum_of(h, header_length);
  return static_cast<uint16_t>(~fold(sum));
}

// What RFC 1624 (eqn. 3) adds to a checksum when `before` becomes `after` (both sums of words, unfolded): build it once
// per connection, apply it to each packet.
constexpr uint16_t checksum_delta(uint64_t before, uint64_t after) {
  return fold(static_cast<uint64_t>(static_cast<uint16_t>(~fold(before))) + fold(after));
}

constexpr Be16 adjust(Be16 checksum, uint16_t delta) {
  const uint64_t sum = static_cast<uint64_t>(static_cast<uint16_t>(~checksum.wire())) + delta;
  return Be16::from_wire(static_cast<uint16_t>(~fold(sum)));
}

// The same of UDP's: zero means that there is none (RFC 768) and stays, and what becomes zero is sent as ones.
constexpr Be16 adjust_udp(Be16 checksum, uint16_t delta) {
  if (checksum == Be16{0}) return checksum;
  const Be16 sum = adjust(checksum, delta);
  return sum == Be16{0} ? Be16{0xffff} : sum;
}

}  // namespace guideway::net
