#include "log/limiter.h"

#include <utility>

namespace guideway::log {
namespace {

// "port eth0: queue 3" → "port eth#: queue #".
std::string kind_of(std::string_view message) {
  std::string kind;
  for (const char c : message) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit)
      kind += c;
    else if (kind.empty() || kind.back() != '#')
      kind += '#';
  }
  return kind;
}

}  // namespace

bool Limiter::admit(std::string_view message, Clock::time_point now) {
  std::string name = kind_of(message);
  auto kind = kinds_.find(name);
  if (kind == kinds_.end()) {
    if (kinds_.size() >= kMaxKinds) return true;
    kind = kinds_.emplace(std::move(name), Kind{.since = now}).first;
  }
  Kind& k = kind->second;
  if (k.said < kBurst) {
    ++k.said;
    return true;
  }
  ++k.suppressed.count;
  k.suppressed.last = message;
  return false;
}

std::vector<Limiter::Suppressed> Limiter::take_ended(Clock::time_point now) {
  std::vector<Suppressed> ended;
  std::erase_if(kinds_, [&](const auto& entry) {
    const Kind& k = entry.second;
    if (now - k.since < kPeriod) return false;
    if (k.suppressed.count > 0) ended.push_back(k.suppressed);
    return true;
  });
  return ended;
}

}  // namespace guideway::log
