// How long the engine has said nothing although it owes an answer, on either connection: one thread of it serves both,
// so that whatever it says ends its silence. Told in the log once when it is longer than is right, and once when it
// ends.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <string>

#include "mgmt/event_loop.h"

namespace guideway::mgmt {

class Silence {
 public:
  enum class Side : uint8_t { kState, kObserve };

  // `on_begun`: it is longer than is right from now on.
  Silence(EventLoop& loop, std::function<void()> on_begun) : loop_(loop), on_begun_(std::move(on_begun)) {}

  // It was asked there, and may take so long.
  void asked(Side side, std::chrono::milliseconds patience);
  // It said something there, which answers what it was asked there.
  void heard(Side side);
  // The connection has ended, and with it what was owed there.
  void forgive(Side side);
  // A sentence with its remedy; empty while it owes nothing, or not for longer than it may.
  std::string trouble() const;

 private:
  using milliseconds = std::chrono::milliseconds;
  milliseconds allowed() const { return std::max(patience_[0], patience_[1]); }
  milliseconds length() const;
  void watch();

  EventLoop& loop_;
  std::function<void()> on_begun_;
  std::array<milliseconds, 2> patience_{};  // by Side; 0: nothing is owed
  EventLoop::Clock::time_point since_;
  EventLoop::TimerId timer_ = 0;
  bool told_ = false;
};

}  // namespace guideway::mgmt
