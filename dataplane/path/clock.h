// The time that connections are aged by.
#pragma once

#include <cstdint>
#include <ctime>

namespace guideway::path {

// Whole seconds: an engine that comes after this one counts on, and a host that sleeps ages them too.
inline uint64_t seconds_since_boot() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec);
}

}  // namespace guideway::path
