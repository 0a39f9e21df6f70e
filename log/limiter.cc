#include "log/limiter.h"

#include <algorithm>
#include <utility>

namespace guideway::log {
namespace {

// All beyond kMaxKinds; no kind has a digit.
constexpr char kBeyond = '0';

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// May stand in a number or an address.
bool is_of_number(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' || c == '.';
}

// "neighbour 2001:db8::a on eth0" → "neighbour # on eth#"; what has no digit is a word: "bad" stays.
std::string kind_of(std::string_view message) {
  std::string kind;
  while (!message.empty()) {
    const auto end = std::ranges::find_if_not(message, is_of_number);
    const auto length = static_cast<size_t>(end - message.begin());
    const std::string_view run = message.substr(0, length);
    if (std::ranges::any_of(run, is_digit))
      kind += '#';
    else
      kind += run;
    if (length < message.size()) kind += message[length];
    message.remove_prefix(std::min(length + 1, message.size()));
  }
  return kind;
}

}  // namespace

bool Limiter::admit(std::string_view kind, std::string_view message, Clock::time_point now) {
  std::string name = kind_of(kind);
  const bool beyond = kinds_.size() >= kMaxKinds && !kinds_.contains(name);
  if (beyond) name = kBeyond;
  Kind& k = kinds_.try_emplace(std::move(name), Kind{.since = now}).first->second;
  k.suppressed.similar = !beyond;
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
