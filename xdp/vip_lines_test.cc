#include "xdp/vip_lines.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <vector>

namespace guideway::xdp {
namespace {

struct Lines {
  std::vector<uint64_t> words = std::vector<uint64_t>(size_t{GW_VIP_LINES} * GW_VIP_PLACES);
  std::vector<gw_served> rows = std::vector<gw_served>(1U << GW_VIP_ROW_BITS);
  VipLines lines{words, rows.data()};

  bool put(const gw_vip_key& vip, uint32_t row) {
    rows[row].vip = vip;
    return lines.put(row);
  }
};

gw_vip_key vip(uint32_t address) {
  gw_vip_key key{};
  key.address.bytes[10] = key.address.bytes[11] = 0xff;
  for (unsigned i = 0; i < 4; ++i) key.address.bytes[12 + i] = static_cast<uint8_t>(address >> (24 - 8 * i));
  key.port = 80;
  key.protocol = 6;
  return key;
}

// What a program does: place by place, until one is free. The place of the VIP's word.
std::optional<size_t> program_finds(const Lines& l, const gw_vip_key& vip) {
  const uint64_t hash = hash_of(vip);
  for (uint32_t i = 0; i < GW_VIP_WAY * GW_VIP_PLACES; ++i) {
    const size_t place = size_t{gw_vip_line(hash, i / GW_VIP_PLACES)} * GW_VIP_PLACES + i % GW_VIP_PLACES;
    const uint64_t word = l.words[place];
    if (word == 0) break;
    if ((word ^ hash) >> GW_VIP_ROW_BITS != 0) continue;
    if (std::memcmp(&l.rows[word % (1U << GW_VIP_ROW_BITS)].vip, &vip, sizeof vip) == 0) return place;
  }
  return std::nullopt;
}

// So many VIPs whose lines are among the first `lines`.
std::vector<gw_vip_key> vips_of_lines(size_t count, uint32_t lines) {
  std::vector<gw_vip_key> vips;
  for (uint32_t n = 0; vips.size() < count; ++n)
    if (gw_vip_line(hash_of(vip(n)), 0) < lines) vips.push_back(vip(n));
  return vips;
}

TEST_CASE("VIPs are found by their rows through any changes, at the same place as long as they stand") {
  std::mt19937_64 random(11);
  const std::vector<gw_vip_key> vips = vips_of_lines(60, 3);  // so that lines fill up
  Lines l;
  struct Standing {
    uint32_t row;
    size_t place;
  };
  std::map<size_t, Standing> twin;  // by VIP
  uint32_t next = 0;
  for (unsigned n = 0; n < 20'000; ++n) {
    const size_t v = random() % vips.size();
    const auto standing = twin.find(v);
    if (standing != twin.end() && random() % 2 == 0) {
      l.lines.erase(standing->second.row);
      twin.erase(standing);
    } else {
      const uint32_t row = next++ % (1U << GW_VIP_ROW_BITS);
      REQUIRE(l.put(vips[v], row));
      const auto found = program_finds(l, vips[v]);
      REQUIRE(found);
      if (standing != twin.end()) {
        REQUIRE(*found == standing->second.place);
        l.lines.erase(standing->second.row);  // which it no longer goes by
      }
      twin[v] = {row, *found};
    }
    for (size_t i = 0; i < vips.size(); ++i) {
      const auto found = program_finds(l, vips[i]);
      const auto expected = twin.find(i);
      REQUIRE(found.has_value() == (expected != twin.end()));
      if (!found) continue;
      REQUIRE(*found == expected->second.place);
      REQUIRE(l.words[*found] % (1U << GW_VIP_ROW_BITS) == expected->second.row);
    }
  }
  CHECK(std::ranges::count_if(l.words, [](uint64_t w) { return w > GW_VIP_GONE; }) ==
        static_cast<std::ptrdiff_t>(twin.size()));
}

TEST_CASE("where there is no room near its line, a VIP is refused, and one that stands may change") {
  const uint32_t room = GW_VIP_WAY * GW_VIP_PLACES;
  const std::vector<gw_vip_key> vips = vips_of_lines(room + 1, 1);
  Lines l;
  for (uint32_t n = 0; n < room; ++n) REQUIRE(l.put(vips[n], n));
  CHECK_FALSE(l.put(vips[room], room));
  CHECK(l.put(vips[7], room + 1));
  l.lines.erase(3);
  CHECK(l.put(vips[room], room));
}

TEST_CASE("four times as many VIPs as an engine takes find room, by addresses in a row as by random ones") {
  std::mt19937 random(5);
  for (const bool in_a_row : {true, false}) {
    Lines l;
    for (uint32_t n = 0; n < 65'536; ++n)
      REQUIRE(l.put(vip(in_a_row ? 0xc6330000U + n : static_cast<uint32_t>(random())), n));
  }
}

}  // namespace
}  // namespace guideway::xdp
