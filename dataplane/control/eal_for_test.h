// Starts DPDK's environment for a test, once: no huge pages, no devices, no files shared with anyone.
#pragma once

#include <catch2/catch.hpp>
#include <rte_eal.h>

namespace guideway::control {

inline void start_eal() {
  static const bool started = [] {
    char name[] = "test", huge[] = "--no-huge", config[] = "--no-shconf", memory[] = "-m", size[] = "64",
         pci[] = "--no-pci", level[] = "--log-level", errors[] = "*:error", telemetry[] = "--no-telemetry";
    char* arguments[] = {name, huge, config, memory, size, pci, level, errors, telemetry};
    return rte_eal_init(static_cast<int>(std::size(arguments)), arguments) >= 0;
  }();
  REQUIRE(started);
}

}  // namespace guideway::control
