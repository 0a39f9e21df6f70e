#include "dataplane/control/maglev_tables.h"

#include <catch2/catch.hpp>
#include <sched.h>

#include <algorithm>
#include <atomic>

#include "dataplane/control/eal.h"

namespace guideway::control {
namespace {

constexpr int kMostCores = 17;  // as many helpers as there may be, and the caller

// With a worker that shares its core, so that control has all that there are.
int start_on_all_cores() {
  static const int cores = [] {
    cpu_set_t allowed;
    sched_getaffinity(0, sizeof allowed, &allowed);
    const auto worker = static_cast<unsigned>(sched_getcpu());
    const EalOptions o{.huge = false, .memory_mb = 32, .worker_cores = {worker}, .shared_cores = true};
    return init_eal(o).ok() ? CPU_COUNT(&allowed) : 0;
  }();
  REQUIRE(cores > 0);
  return cores;
}

TEST_CASE("control's work runs once for each of its cores, and has been done after", "[eal]") {
  const int cores = start_on_all_cores();
  for (int turn = 0; turn < 100; ++turn) {
    std::atomic<int> runs = 0;
    on_control_cores([&] { ++runs; });
    CHECK(runs >= std::min(cores, kMostCores - 1));
    CHECK(runs <= std::min(cores, kMostCores));
  }
}

TEST_CASE("tables that are built side by side are those built alone, equal ones once", "[maglev_tables]") {
  start_on_all_cores();
  Reclaimer reclaimer(1);
  const auto tables = MaglevTables::create(reclaimer);
  REQUIRE(tables.ok());
  std::vector<lb::TableInput> inputs;
  for (uint64_t i = 0; i < 300; ++i) {
    const uint64_t reals = i % 200;  // the last hundred are the first once more
    lb::TableInput input{.size = 1'021, .reals = {}};
    for (uint64_t r = 0; r <= reals % 7; ++r) input.reals.push_back({reals << 8 | r, 1});
    inputs.push_back(std::move(input));
  }
  {
    const auto built = (*tables)->build(inputs);
    REQUIRE(built.size() == inputs.size());
    CHECK((*tables)->builds() == 200);
    for (size_t i = 0; i < built.size(); ++i) {
      REQUIRE(built[i] != nullptr);
      std::vector<uint16_t> alone(inputs[i].size);
      lb::build_maglev(inputs[i].reals, alone);
      CHECK(std::ranges::equal((*tables)->slots(*built[i]), alone));
      CHECK(built[i] == built[i % 200]);
    }
    CHECK((*tables)->slots_used() == 200 * 1'021);
  }
  reclaimer.drain();
  CHECK((*tables)->slots_used() == 0);
}

}  // namespace
}  // namespace guideway::control
