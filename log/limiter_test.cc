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

TEST_CASE("limiter: it follows so many kinds, and says what is beyond", "[limiter]") {
  Limiter l;
  const auto kind = [](size_t n) {
    std::string name;
    for (; n > 0; n /= 26) name += static_cast<char>('a' + n % 26);
    return name;
  };
  for (size_t n = 0; n < Limiter::kMaxKinds; ++n) CHECK(l.admit(kind(n), kStart));
  for (unsigned i = 0; i < 2 * Limiter::kBurst; ++i) CHECK(l.admit(kind(Limiter::kMaxKinds), kStart));
  CHECK(l.take_ended(kStart + Limiter::kPeriod).empty());
  unsigned said = 0;
  for (unsigned i = 0; i < 2 * Limiter::kBurst; ++i)
    said += l.admit(kind(Limiter::kMaxKinds), kStart + Limiter::kPeriod) ? 1 : 0;
  CHECK(said == Limiter::kBurst);
}

}  // namespace
}  // namespace guideway::log
