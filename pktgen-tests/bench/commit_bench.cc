#include "pktgen-tests/bench/commit_bench.h"

#include <algorithm>
#include <cstdio>
#include <thread>

#include "pktgen-tests/bench/programs.h"
#include "pktgen-tests/bench/records.h"
#include "pktgen-tests/bench/source.h"

namespace guideway::bench {

namespace {

constexpr std::chrono::seconds kAtMost{10};

std::string services(unsigned count, unsigned changed, bool turn) {
  std::string s;
  for (unsigned i = 0; i < count; ++i) s += service_manifest(i, turn && i < changed);
  return s;
}

bool measure(Observer& engine, const std::string& file, unsigned objects, unsigned changed, unsigned turns,
             Records& records) {
  std::vector<double> ms;
  bool arrived = true;
  bool turn = false;
  const auto change = [&] {
    if (!arrived) return 0.0;
    const std::string text = services(objects / 2, changed, turn = !turn);
    const uint64_t before = engine.generation();
    const auto closed = write_file(file, text);
    arrived = engine.wait_above(before, kAtMost);
    const double took = std::chrono::duration<double, std::milli>(Clock::now() - closed).count();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return took;
  };
  const WholeCore whole = measure_on_whole_core(turns, ms, change, has_whole_cores);
  if (!arrived) {
    std::fprintf(stderr, "a change didn't arrive within ten seconds\n");
    return false;
  }
  std::ranges::sort(ms);
  std::printf("%8u %10u %14.2f %8.2f to %5.2f %14s\n", objects, changed, ms[ms.size() / 2], ms.front(), ms.back(),
              whole.text().c_str());
  std::fflush(stdout);
  records.push_back({{"scenario", "commit objects=" + std::to_string(objects) + " changed=" + std::to_string(changed)},
                     {"ms", ms[ms.size() / 2]},
                     {"ms_min", ms.front()},
                     {"ms_max", ms.back()}});
  return true;
}

}  // namespace

int run_commit(const std::string& build, unsigned turns, const std::string& json) {
  const Site site(build);
  const std::string file = site.manifest("services.yaml");
  write_file(file, services(50, 0, false));
  const Process engine = site.start_engine({"--connections", "4096", "--log-level", "debug"});
  const Process daemon = site.start_daemon();
  std::optional<Observer> observer = Observer::connect(site.socket());
  if (!observer || !observer->wait_above(0, kAtMost)) {
    site.complain("the engine doesn't start or gets no state:");
    return 1;
  }
  std::printf("%8s %10s %14s %17s %14s\n", "objects", "changed", "in force, ms", "(min to max)", "whole cores");
  Records records;
  for (const unsigned changed : {1U, 10U, 50U})
    if (!measure(*observer, file, 100, changed, turns, records)) return 1;
  return write_records(json, records) ? 0 : 1;
}

}  // namespace guideway::bench
