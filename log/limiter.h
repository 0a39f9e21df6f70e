// Cuts off a storm of messages that say the same: of those that differ in their numbers and addresses alone, a few in
// each period are said, the others counted. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace guideway::log {

class Limiter {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr size_t kBurst = 10;
  static constexpr std::chrono::seconds kPeriod{10};
  static constexpr size_t kMaxKinds = 1'024;  // that are followed; all further ones count as one

  struct Suppressed {
    uint64_t count = 0;
    std::string last;     // of them
    bool similar = true;  // false: of the kinds beyond kMaxKinds
  };

  // Whether the message is to be said; `kind` without its numbers and addresses tells what it is the same as.
  bool admit(std::string_view kind, std::string_view message, Clock::time_point now);
  bool admit(std::string_view message, Clock::time_point now) { return admit(message, message, now); }
  // Of periods that are over; each is told once.
  std::vector<Suppressed> take_ended(Clock::time_point now);

 private:
  struct Kind {
    Clock::time_point since;
    uint32_t said = 0;
    Suppressed suppressed{};
  };
  std::unordered_map<std::string, Kind> kinds_;  // by the message without its numbers
};

}  // namespace guideway::log
