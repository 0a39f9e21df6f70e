#include "mgmt/engine_link/silence.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "log/trouble.h"

namespace guideway::mgmt {
namespace {

constexpr const char* kRemedy = "if it goes on, look at its log, and restart guideway-engine";

std::string seconds(std::chrono::milliseconds n) {
  return std::to_string(std::max<int64_t>(1, std::chrono::round<std::chrono::seconds>(n).count())) + " s";
}

}  // namespace

void Silence::asked(Side side, milliseconds patience) {
  if (allowed() == milliseconds{}) since_ = EventLoop::Clock::now();
  patience_[static_cast<size_t>(side)] = patience;
  watch();
}

void Silence::heard(Side side) {
  if (std::exchange(told_, false)) spdlog::info("the engine answers again, after {}", seconds(length()));
  since_ = EventLoop::Clock::now();
  forgive(side);
}

void Silence::forgive(Side side) {
  patience_[static_cast<size_t>(side)] = {};
  told_ = told_ && !trouble().empty();
  watch();
}

std::string Silence::trouble() const {
  if (allowed() == milliseconds{} || length() < allowed()) return {};
  return log::to_string({"", "the engine hasn't answered for " + seconds(length()), kRemedy});
}

Silence::milliseconds Silence::length() const {
  return std::chrono::duration_cast<milliseconds>(EventLoop::Clock::now() - since_);
}

void Silence::watch() {
  loop_.cancel(timer_);
  if (told_ || allowed() == milliseconds{}) return;
  timer_ = loop_.call_after(std::max(milliseconds{}, allowed() - length()), [this] {
    const std::string text = trouble();
    if (text.empty()) return watch();
    told_ = true;
    log::warn({"", "the engine hasn't answered for " + seconds(length()), kRemedy});
    on_begun_();
  });
}

}  // namespace guideway::mgmt
