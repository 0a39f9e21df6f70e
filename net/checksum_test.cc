#include "net/checksum.h"

#include <catch2/catch.hpp>

#include <random>
#include <vector>

namespace guideway::net {
namespace {

// RFC 1071, section 4.1, word by word in host order.
uint16_t slow(const std::vector<uint8_t>& b) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < b.size(); i += 2) sum += static_cast<uint32_t>(b[i] << 8 | b[i + 1]);
  if (b.size() % 2) sum += static_cast<uint32_t>(b.back() << 8);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

TEST_CASE("a sum is the RFC's", "[checksum]") {
  std::mt19937 random(3);
  for (int i = 0; i < 1000; ++i) {
    std::vector<uint8_t> b(random() % 100);
    for (auto& x : b) x = static_cast<uint8_t>(random());
    const auto fast = static_cast<uint16_t>(~fold(sum_of(b.data(), b.size())));
    CHECK(Be16::from_wire(fast).host() == slow(b));
  }
}

TEST_CASE("an update equals a fresh sum, and a wrong one stays as wrong", "[checksum]") {
  std::mt19937 random(5);
  for (int i = 0; i < 1000; ++i) {
    std::vector<uint8_t> b(40);
    for (auto& x : b) x = static_cast<uint8_t>(random());
    const uint16_t error = i % 2 ? static_cast<uint16_t>(random() | 1) : 0;
    const Be16 before{static_cast<uint16_t>(slow(b) ^ error)};
    const uint64_t old_sum = sum_of(b.data() + 8, 8);
    for (int j = 8; j < 16; ++j) b[j] = static_cast<uint8_t>(random());
    const Be16 after = adjust(before, checksum_delta(old_sum, sum_of(b.data() + 8, 8)));
    if (error == 0)
      CHECK(after.host() == slow(b));
    else
      CHECK(after.host() != slow(b));
  }
}

TEST_CASE("folding is the remainder modulo 0xffff, where zero is 0xffff", "[checksum]") {
  std::mt19937_64 random(9);
  for (int i = 0; i < 10'000; ++i) {
    const uint64_t sum = (random() >> 16) | 1;
    const uint16_t f = fold(sum);
    CHECK(f % 0xffff == sum % 0xffff);
    CHECK(f != 0);
  }
  CHECK(fold(0) == 0);
  CHECK(fold(0xffff'ffff'ffff) == 0xffff);
}

TEST_CASE("an IPv4 header's checksum", "[checksum]") {
  Ipv4Header h;
  h.total_length = Be16{60};
  h.source = Be32{0x0a000001};
  h.destination = Be32{0xc0000201};
  h.checksum = Be16::from_wire(static_cast<uint16_t>(~fold(sum_of(&h, sizeof h))));
  CHECK(ipv4_header_error(&h, sizeof h) == 0);
  h.ttl = 63;
  CHECK(ipv4_header_error(&h, sizeof h) != 0);
}

}  // namespace
}  // namespace guideway::net
