#include "xdp/hash_lines.h"

#include <catch2/catch.hpp>

#include <random>
#include <set>
#include <vector>

namespace guideway::xdp {
namespace {

// What a program does: line by line, until one has a free place.
bool program_finds(const std::vector<uint64_t>& words, uint64_t hash) {
  const size_t lines = words.size() / GW_DENIED_PLACES;
  for (size_t i = 0; i < GW_DENIED_WAY; ++i) {
    const uint64_t* line = &words[(hash + i) % lines * GW_DENIED_PLACES];
    for (unsigned n = 0; n < GW_DENIED_PLACES; ++n)
      if (line[n] == hash) return true;
    if (line[GW_DENIED_PLACES - 1] == 0) return false;
  }
  return false;
}

TEST_CASE("lines of hashes hold what a set holds, through any changes, and end up empty") {
  std::mt19937_64 random(7);
  for (const unsigned fullness : {4U, 7U}) {  // of a line's 8
    std::vector<uint64_t> words(64 * GW_DENIED_PLACES);
    HashLines lines{words};
    std::set<uint64_t> twin;
    // Few of them, so that they come and go; many of one line.
    const auto some_hash = [&] { return (random() % 12 + 1) << 32 | (random() % 64); };
    unsigned refused = 0;
    for (unsigned n = 0; n < 50'000; ++n) {
      const uint64_t hash = some_hash();
      if (twin.size() < size_t{64} * fullness && random() % 2 == 0) {
        if (lines.insert(hash))
          twin.insert(hash);
        else
          ++refused;
      } else {
        lines.erase(hash);
        twin.erase(hash);
      }
      const uint64_t asked = some_hash();
      REQUIRE(lines.contains(asked) == twin.contains(asked));
      REQUIRE(program_finds(words, asked) == twin.contains(asked));
    }
    CHECK(refused == 0);
    for (const uint64_t hash : twin) REQUIRE(program_finds(words, hash));
    for (const uint64_t hash : std::set(twin)) lines.erase(hash);
    CHECK(std::ranges::count(words, uint64_t{0}) == static_cast<std::ptrdiff_t>(words.size()));
  }
}

TEST_CASE("where there is no room near its line, a hash is refused and nothing is lost") {
  std::vector<uint64_t> words(32 * GW_DENIED_PLACES);
  HashLines lines{words};
  uint64_t n = 0;
  while (lines.insert(++n << 32)) {
  }
  CHECK(n - 1 == GW_DENIED_WAY * GW_DENIED_PLACES);
  lines.erase(uint64_t{3} << 32);
  CHECK(lines.insert(n << 32));
  for (uint64_t i = 1; i <= n; ++i) CHECK(program_finds(words, i << 32) == (i != 3));
}

}  // namespace
}  // namespace guideway::xdp
