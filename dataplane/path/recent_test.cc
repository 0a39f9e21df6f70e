#include "dataplane/path/recent.h"

#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <thread>
#include <vector>

namespace guideway::path {
namespace {

// As the XDP program reads it.
RealIndex find(std::span<const uint64_t> words, uint64_t hash) {
  const auto* line = &words[hash % (words.size() / Recent::kWordsOfLine) * Recent::kWordsOfLine];
  for (size_t i = 0; i < Recent::kWordsOfLine; i += 2)
    if (line[i + 1] != 0 && (line[i] ^ line[i + 1]) == hash) return static_cast<RealIndex>(line[i + 1]);
  return kNone<RealIndex>;
}

TEST_CASE("what was noted is found as the twin says, until a sweep", "[recent]") {
  std::mt19937_64 random(1);
  std::vector<uint64_t> words(1'024 * Recent::kWordsOfLine);
  Recent recent(words);
  CHECK_FALSE(recent.take_any());
  std::map<uint64_t, RealIndex> twin;
  std::vector<uint64_t> old;
  const auto lost = [&] {
    size_t n = 0;
    for (const auto& [hash, real] : twin) {
      const RealIndex found = find(words, hash);
      n += found == kNone<RealIndex>;
      if (found != kNone<RealIndex>) REQUIRE(found == real);
    }
    return n;
  };
  const auto note = [&](uint64_t hash) {
    recent.note(hash, twin[hash] = static_cast<RealIndex>(random()));
    old.push_back(hash);
  };
  for (int i = 0; i < 512; ++i) note(random());
  for (int i = 0; i < 512; ++i) note(old[random() % 512]);  // again, with another real
  CHECK(recent.take_any());
  CHECK_FALSE(recent.take_any());
  CHECK(lost() <= 2);  // of an eighth of the room
  for (int i = 0; i < 8'192; ++i) note(random());
  CHECK(lost() >= 8'192 + 512 - 4'096);
  const uint32_t generation = recent.begin_generation();
  const uint64_t kept = old.front();
  note(kept);
  const uint64_t fresh = random();
  note(fresh);
  recent.forget_before(generation);
  CHECK(lost() == twin.size() - 2);
  CHECK(find(words, kept) == twin[kept]);
  CHECK(find(words, fresh) == twin[fresh]);
}

TEST_CASE("several workers note and control forgets at once, and no flow is told another's real", "[recent]") {
  std::vector<uint64_t> words(4 * Recent::kWordsOfLine);
  Recent recent(words);
  std::vector<uint64_t> hashes(64);
  std::mt19937_64 random(1);
  for (uint64_t& h : hashes) h = random();
  const auto real_of = [](uint64_t hash) { return static_cast<RealIndex>(hash * 3); };
  std::vector<std::thread> workers;
  for (unsigned w = 0; w < 3; ++w)
    workers.emplace_back([&, w] {
      std::mt19937_64 chance(w);
      for (int i = 0; i < 200'000; ++i) {
        const uint64_t hash = hashes[chance() % hashes.size()];
        recent.note(hash, real_of(hash));
      }
    });
  for (int i = 0; i < 1'000; ++i) recent.forget_before(recent.begin_generation());
  for (auto& w : workers) w.join();
  for (const uint64_t hash : hashes) {
    const RealIndex found = find(words, hash);
    CHECK((found == kNone<RealIndex> || found == real_of(hash)));
    recent.note(hash, real_of(hash));
    CHECK(find(words, hash) == real_of(hash));
  }
}

}  // namespace
}  // namespace guideway::path
