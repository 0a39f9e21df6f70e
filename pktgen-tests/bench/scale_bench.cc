#include "pktgen-tests/bench/scale_bench.h"

#include <algorithm>
#include <cstdio>

#include "pktgen-tests/bench/programs.h"
#include "pktgen-tests/bench/records.h"

namespace guideway::bench {

namespace {

constexpr unsigned kFiles = 20;
constexpr std::chrono::seconds kAtMost{120};

void write_manifests(const Site& site, unsigned services) {
  for (unsigned f = 0; f < kFiles; ++f) {
    std::string text;
    for (unsigned i = f; i < services; i += kFiles) text += service_manifest(i, false);
    write_file(site.manifest("services-" + std::to_string(f) + ".yaml"), text);
  }
}

bool measure(const Site& site, unsigned services, const char* what, const Process& engine, Observer& observer,
             Records& records) {
  const uint64_t before = observer.generation();
  const auto start = Clock::now();
  const Process daemon = site.start_daemon();
  if (!observer.wait_above(before, kAtMost)) {
    site.complain("the state doesn't arrive:");
    return false;
  }
  const std::chrono::duration<double> took = Clock::now() - start;
  const unsigned daemon_mib = daemon.peak_mib();
  const unsigned engine_mib = engine.peak_mib();
  std::printf("%-46s %12.2f %13u %13u\n", what, took.count(), daemon_mib, engine_mib);
  std::fflush(stdout);
  records.push_back({{"scenario", "scale services=" + std::to_string(services) + ", " + what},
                     {"seconds", took.count()},
                     {"daemon_mib", daemon_mib},
                     {"engine_mib", engine_mib}});
  return true;
}

}  // namespace

int run_scale(const std::string& build, unsigned services, const std::string& json) {
  const Site site(build);
  write_manifests(site, services);
  const Process engine = site.start_engine({});
  std::optional<Observer> observer = Observer::connect(site.socket());
  if (!observer) {
    site.complain("the engine doesn't start:");
    return 1;
  }
  std::printf("%u services with %u backends each, in %u manifests\n", services, kBackends, kFiles);
  std::printf("%-46s %12s %13s %13s\n", "", "in force, s", "daemon, MiB", "engine, MiB");
  Records records;
  for (const char* what : {"the first time", "the daemon started again, and nothing changed"})
    if (!measure(site, services, what, engine, *observer, records)) return 1;
  return write_records(json, records) ? 0 : 1;
}

}  // namespace guideway::bench
