#include "log/limiter.h"

#include <catch2/catch.hpp>

namespace guideway::log {
namespace {

using std::chrono::seconds;
constexpr Limiter::Clock::time_point kStart{std::chrono::hours(1)};

TEST_CASE("limiter: a few of one kind are said, the others counted once their period is over", "[limiter]") {
  Limiter l;
  unsigned said = 0;
  for (int i = 0; i < 133; ++i) said += l.admit("neighbour 10.0.0." + std::to_string(i) + ": no", kStart) ? 1 : 0;
  CHECK(said == Limiter::kBurst);
  CHECK(l.admit("something else", kStart));
  CHECK(l.take_ended(kStart + Limiter::kPeriod - seconds(1)).empty());
  const auto ended = l.take_ended(kStart + Limiter::kPeriod);
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].count == 123);
  CHECK(ended[0].last == "neighbour 10.0.0.132: no");
  CHECK(l.take_ended(kStart + Limiter::kPeriod).empty());
  CHECK(l.admit("neighbour 10.0.0.1: no", kStart + Limiter::kPeriod));
}

TEST_CASE("limiter: what differs in more than its numbers isn't one kind", "[limiter]") {
  Limiter l;
  for (char name = 'a'; name <= 'z'; ++name) CHECK(l.admit(std::string("port ") + name + ": down", kStart));
}

TEST_CASE("limiter: addresses are numbers, whatever letters they have; words aren't", "[limiter]") {
  const auto said_of = [](const std::vector<std::string>& messages) {
    Limiter l;
    unsigned said = 0;
    for (const std::string& m : messages) said += l.admit(m, kStart) ? 1 : 0;
    return said;
  };
  std::vector<std::string> ipv6;
  std::vector<std::string> macs;
  std::vector<std::string> words;
  for (char a = 'a'; a <= 'f'; ++a)
    for (char b = 'a'; b <= 'f'; ++b) {
      const std::string hex{a, b};
      ipv6.push_back("neighbour 2001:db8::" + hex + ":1 on eth0: no");
      macs.push_back("02:" + hex + ":FF:00:" + hex + ":0c moved");
      words.push_back("bad " + hex + " in 1.2.3.4");
    }
  CHECK(said_of(ipv6) == Limiter::kBurst);
  CHECK(said_of(macs) == Limiter::kBurst);
  CHECK(said_of(words) == words.size());
}

TEST_CASE("limiter: it follows so many kinds, and all beyond are one", "[limiter]") {
  Limiter l;
  const auto kind = [](size_t n) {
    std::string name;
    for (; n > 0; n /= 20) name += static_cast<char>('g' + n % 20);
    return name;
  };
  for (size_t n = 0; n < Limiter::kMaxKinds; ++n) CHECK(l.admit(kind(n), kStart));
  size_t said = 0;
  for (size_t i = 0; i < 3 * Limiter::kBurst; ++i) said += l.admit(kind(Limiter::kMaxKinds + i), kStart) ? 1 : 0;
  CHECK(said == Limiter::kBurst);
  CHECK(l.admit(kind(1), kStart));  // its own is followed as before
  const auto ended = l.take_ended(kStart + Limiter::kPeriod);
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].count == 2 * Limiter::kBurst);
  CHECK(ended[0].last == kind(Limiter::kMaxKinds + 3 * Limiter::kBurst - 1));
  CHECK_FALSE(ended[0].similar);

  said = 0;
  for (unsigned i = 0; i < 2 * Limiter::kBurst; ++i)
    said += l.admit(kind(Limiter::kMaxKinds), kStart + Limiter::kPeriod) ? 1 : 0;
  CHECK(said == Limiter::kBurst);
}

}  // namespace
}  // namespace guideway::log
