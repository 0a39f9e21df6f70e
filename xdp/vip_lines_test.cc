#include "xdp/vip_lines.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <random>
#include <set>
#include <vector>

namespace guideway::xdp {
namespace {

// What a program does: place by place, until one is free.
bool program_finds(const std::vector<uint64_t>& words, uint64_t word) {
  for (uint32_t i = 0; i < GW_VIP_WAY * GW_VIP_PLACES; ++i) {
    const uint64_t found = words[gw_vip_line(word, i / GW_VIP_PLACES) * GW_VIP_PLACES + i % GW_VIP_PLACES];
    if (found == 0) return false;
    if (found == word) return true;
  }
  return false;
}

gw_vip_key vip(uint32_t n) {
  gw_vip_key key{};
  key.address.bytes[10] = key.address.bytes[11] = 0xff;
  for (unsigned i = 0; i < 4; ++i) key.address.bytes[12 + i] = static_cast<uint8_t>(n >> 8 * i);
  key.port = 80;
  key.protocol = 6;
  return key;
}

TEST_CASE("VIPs are found through any changes, and what is found all the time stays at its place") {
  std::mt19937_64 random(11);
  std::vector<uint64_t> words(size_t{GW_VIP_LINES} * GW_VIP_PLACES);
  VipLines lines{words};
  // Of three lines, so that they fill up.
  const auto some_word = [&] { return (random() % 3) << 50 | (random() % 9 + 1) << GW_VIP_ROW_BITS | random() % 4; };
  std::set<uint64_t> twin;
  for (unsigned n = 0; n < 50'000; ++n) {
    const uint64_t word = some_word();
    const std::vector<uint64_t> before = words;
    if (twin.contains(word)) {
      lines.erase(word);
      twin.erase(word);
    } else {
      REQUIRE(lines.insert(word));
      twin.insert(word);
    }
    const uint64_t asked = some_word();
    REQUIRE(program_finds(words, asked) == twin.contains(asked));
    if (n % 100 != 0) continue;
    for (const uint64_t w : twin) REQUIRE(program_finds(words, w));
    unsigned changed = 0;
    for (size_t i = 0; i < words.size(); ++i) changed += words[i] != before[i] ? 1 : 0;
    REQUIRE(changed == 1);
  }
}

TEST_CASE("where there is no room near its line, a VIP is refused") {
  std::vector<uint64_t> words(size_t{GW_VIP_LINES} * GW_VIP_PLACES);
  VipLines lines{words};
  uint64_t n = 0;
  while (lines.insert(++n << GW_VIP_ROW_BITS)) {
  }
  CHECK(n - 1 == GW_VIP_WAY * GW_VIP_PLACES);
  lines.erase(uint64_t{3} << GW_VIP_ROW_BITS);
  CHECK(lines.insert(n << GW_VIP_ROW_BITS));
}

TEST_CASE("as many VIPs as there may be find room, by addresses in a row as by random ones") {
  std::mt19937 random(5);
  for (const bool in_a_row : {true, false}) {
    std::vector<uint64_t> words(size_t{GW_VIP_LINES} * GW_VIP_PLACES);
    VipLines lines{words};
    for (uint32_t n = 0; n < 65'536; ++n) {
      const uint32_t address = in_a_row ? __builtin_bswap32(0xc6330000U + n) : static_cast<uint32_t>(random());
      REQUIRE(lines.insert(vip_word(vip(address), n)));
    }
    CHECK(std::ranges::count(words, uint64_t{0}) == static_cast<std::ptrdiff_t>(words.size() - 65'536));
  }
}

}  // namespace
}  // namespace guideway::xdp
