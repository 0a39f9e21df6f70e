// Times as the API and its clients write them. Reads the clock.
#pragma once

#include <ctime>
#include <string>

namespace guideway::mgmt {

// Now in UTC, as RFC 3339 has it: "2026-01-31T12:00:00Z".
inline std::string rfc3339_now() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", ::gmtime_r(&now, &utc))};
}

}  // namespace guideway::mgmt
