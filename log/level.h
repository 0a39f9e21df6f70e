// How much a process logs; may be changed while it runs.
#pragma once

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdint>

namespace guideway::log {

// As the contract and the API number them.
enum class Level : uint8_t { kTrace = 1, kDebug, kInfo, kWarn, kError, kOff };

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
  spdlog::info("log level {}, it was {}", spdlog::level::to_string_view(level), spdlog::level::to_string_view(before));
  spdlog::set_level(level);
}

}  // namespace guideway::log
