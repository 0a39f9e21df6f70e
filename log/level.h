// How much a process logs; may be changed while it runs.
#pragma once

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace guideway::log {

// As the contract and the API number them.
enum class Level : uint8_t { kTrace = 1, kDebug, kInfo, kWarn, kError, kOff };

// As --log-level has it; spdlog would say "warning".
inline std::string_view name_of(spdlog::level::level_enum level) {
  if (level == spdlog::level::warn) return "warn";
  const auto name = spdlog::level::to_string_view(level);
  return {name.data(), name.size()};
}

inline Level level() {
  const auto now = static_cast<int>(spdlog::get_level());  // critical is above error, and we have no such level
  return now > static_cast<int>(spdlog::level::err) ? Level::kOff : static_cast<Level>(now + 1);
}

inline void set_level(Level to) {
  const auto level =
      to == Level::kOff ? spdlog::level::off : static_cast<spdlog::level::level_enum>(static_cast<int>(to) - 1);
  const auto before = spdlog::get_level();
  if (level == before) return;
  spdlog::set_level(std::min(level, before));  // whoever reads the log learns why it changes
  spdlog::info("log level {}, it was {}", name_of(level), name_of(before));
  spdlog::set_level(level);
}

}  // namespace guideway::log
