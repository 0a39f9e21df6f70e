// guideway-bench: nanoseconds, as ratios within one run.
#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "dataplane/control/eal.h"
#include "lb/maglev.h"
#include "lb/selection.h"
#include "pktgen-tests/bench/churn_bench.h"
#include "pktgen-tests/bench/commit_bench.h"
#include "pktgen-tests/bench/flood_bench.h"
#include "pktgen-tests/bench/lb_bench.h"
#include "pktgen-tests/bench/records.h"
#include "pktgen-tests/bench/scale_bench.h"
#include "pktgen-tests/bench/xdp_bench.h"

namespace guideway::bench {
namespace {

std::vector<Scenario> lb_scenarios() {
  std::vector<Scenario> all;
  for (const bool v4 : {true, false})
    for (const auto& [mode, reply] :
         {std::pair{path::Mode::kDsrIpip, false}, std::pair{path::Mode::kDsrL2, false},
          std::pair{path::Mode::kDsrGue, false}, std::pair{path::Mode::kNat, false}, std::pair{path::Mode::kNat, true}})
      for (const bool tcp : {true, false})
        // The smallest frame of TCP over IPv6 has 74 bytes.
        for (const uint16_t size : {v4 ? uint16_t{64} : uint16_t{74}, uint16_t{1'400}})
          for (const uint32_t flows : {1U, 1'000U, 100'000U, 1'000'000U}) {
            // UDP differs little: two points of it suffice.
            if (!tcp && (size == 1'400 || (flows != 1'000 && flows != 1'000'000))) continue;
            all.push_back({.mode = mode, .reply = reply, .tcp = tcp, .v4 = v4, .size = size, .flows = flows});
          }
  for (const bool v4 : {true, false})
    for (const path::Mode mode : {path::Mode::kDsrIpip, path::Mode::kDsrGue})
      for (const uint32_t flows : {1'000U, 1'000'000U})
        all.push_back(
            {.mode = mode, .v4 = v4, .mixed = true, .size = v4 ? uint16_t{64} : uint16_t{74}, .flows = flows});
  return all;
}

int run_lb(const std::string& filter, unsigned runs, const std::string& json) {
  const bool huge = control::free_hugepages() >= 500;
  if (!huge)
    std::printf("Without 2 MB pages (%u free, 500 wanted): the large tables cost more than they should.\n",
                control::free_hugepages());
  std::printf("%-42s %10s %17s %10s %10s %12s\n", "scenario", "ns/packet", "(min to max)", "floor", "net",
              "whole core");
  Records records;
  for (const Scenario& s : lb_scenarios()) {
    if (s.name().find(filter) == std::string::npos) continue;
    const Result r = run(s, runs, huge);
    std::printf("%-42s %10.1f %8.1f to %5.1f %10.1f %10.1f %12s%s\n", r.scenario.c_str(), r.ns_per_packet, r.ns_min,
                r.ns_max, r.floor_ns_per_packet, r.ns_per_packet - r.floor_ns_per_packet, r.whole_core.text().c_str(),
                r.dropped != 0 ? "  DROPPED" : "");
    std::fflush(stdout);
    records.push_back({{"scenario", r.scenario},
                       {"ns_per_packet", r.ns_per_packet},
                       {"floor_ns_per_packet", r.floor_ns_per_packet},
                       {"packets", r.packets}});
    if (r.dropped != 0) {
      std::fprintf(stderr, "%s: %lu packets were dropped\n", r.scenario.c_str(), static_cast<unsigned long>(r.dropped));
      return 1;
    }
  }
  if (records.empty()) {
    std::fprintf(stderr, "no scenario has \"%s\" in its name\n", filter.c_str());
    return 2;
  }
  return write_records(json, records) ? 0 : 1;
}

int churn(ChurnOptions options, const std::string& json) {
  options.huge = control::free_hugepages() >= 500;
  std::printf("%-22s %10s %17s %14s %17s %10s %7s\n", "", "ns/packet", "(min to max)", "p99.9 round, us",
              "(min to max)", "changes/s", "walks");
  const Churn c = run_churn(options);
  const auto print = [](const char* name, const ChurnSide& s) {
    std::printf("%-22s %10.1f %8.1f to %5.1f %14.1f %8.1f to %5.1f %10.0f %7.1f\n", name, s.ns_per_packet, s.ns_min,
                s.ns_max, s.p999_us, s.p999_min, s.p999_max, s.changes_per_second, s.walks);
  };
  print("at rest", c.rest);
  print("under changes", c.churn);
  std::printf("throughput %.3f of that at rest, p99.9 of a round %.2f times\n", c.throughput_ratio, c.p999_ratio);
  // The floor of both is the figure at rest.
  const auto record = [&](const char* name, const ChurnSide& s) -> nlohmann::ordered_json {
    return {{"scenario", name},     {"ns_per_packet", s.ns_per_packet}, {"floor_ns_per_packet", c.rest.ns_per_packet},
            {"packets", s.packets}, {"p999_round_us", s.p999_us},       {"changes_per_second", s.changes_per_second}};
  };
  Records records{record("churn none", c.rest), record("churn changes", c.churn)};
  records.back()["throughput_ratio"] = c.throughput_ratio;
  records.back()["p999_round_ratio"] = c.p999_ratio;
  if (c.dropped != 0) std::fprintf(stderr, "%lu packets were dropped\n", static_cast<unsigned long>(c.dropped));
  return write_records(json, records) && c.dropped == 0 ? 0 : 1;
}

int flood(unsigned runs, const std::string& json) {
  const bool huge = control::free_hugepages() >= 500;
  std::printf("%-20s %10s %17s %24s %10s %12s\n", "unique SYNs", "ns/packet", "(min to max)", "connections kept, of",
              "off slot", "whole core");
  Records records;
  int code = 0;
  for (const bool v4 : {true, false}) {
    const Flood f = run_flood(runs, v4, huge);
    const std::string name = v4 ? "flood dsr-ipip tcp4" : "flood dsr-ipip tcp6";
    std::printf("%-20s %10.1f %8.1f to %5.1f %14u, %8u %10u %12s%s\n", name.c_str(), f.ns_per_packet, f.ns_min,
                f.ns_max, f.kept, f.established, f.off_slot, f.whole_core.text().c_str(),
                f.dropped != 0 ? "  DROPPED" : "");
    if (f.kept != f.established || f.dropped != 0) code = 1;
    records.push_back({{"scenario", name},
                       {"ns_per_packet", f.ns_per_packet},
                       {"ns_per_packet_min", f.ns_min},
                       {"ns_per_packet_max", f.ns_max},
                       {"packets", f.syns},
                       {"kept", f.kept},
                       {"established", f.established},
                       {"off_slot", f.off_slot},
                       {"dropped", f.dropped}});
  }
  return write_records(json, records) ? code : 1;
}

int xdp(unsigned runs, const std::string& json) {
  std::printf("%-42s %10s %17s %10s %10s\n", "scenario", "ns/packet", "(min to max)", "empty", "net");
  Records records;
  int code = 0;
  const auto tell = [&](const std::string& name, const XdpCost& c) {
    std::printf("%-42s %10.1f %8.1f to %5.1f %10.1f %10.1f%s\n", name.c_str(), c.ns_per_packet, c.ns_min, c.ns_max,
                c.empty_ns, c.ns_per_packet - c.empty_ns, c.lost != 0 ? "  LOST" : "");
    std::fflush(stdout);
    if (c.lost != 0) code = 1;
    records.push_back({{"scenario", name},
                       {"ns_per_packet", c.ns_per_packet},
                       {"floor_ns_per_packet", c.empty_ns},
                       {"packets", c.packets}});
  };
  const std::string name = "xdp dsr-ipip tcp4 64B flows=";
  for (const uint32_t flows : {1U, 1'000U, 100'000U, 1'000'000U})
    tell(name + std::to_string(flows), run_xdp(flows, {}, runs));
  for (const uint32_t lengths : {1U, 8U})
    tell(name + "1000, denied: " + std::to_string(lengths) + " lengths",
         run_xdp(1'000, {.prefixes = 1'000'000, .lengths = lengths}, runs));
  for (const bool v4 : {true, false})
    for (const auto& [prefixes, lengths] : {std::pair{1U, 1U}, std::pair{1'000'000U, 1U}, std::pair{1'000'000U, 8U}})
      tell(std::string("xdp denied tcp") + (v4 ? "4 64B " : "6 74B ") + std::to_string(prefixes) + ", " +
               std::to_string(lengths) + (lengths == 1 ? " length" : " lengths"),
           run_xdp_denied({.prefixes = prefixes, .lengths = lengths, .v4 = v4}, runs));
  return write_records(json, records) ? code : 1;
}

int run_maglev(unsigned runs, const std::string& json) {
  Records records;
  std::printf("%-24s %12s %17s\n", "table", "build, ms", "(min to max)");
  for (const auto& [size, reals] : {std::pair{16'381U, 3U},
                                    {16'381U, 10U},
                                    {16'381U, 100U},
                                    {65'537U, 100U},
                                    {65'537U, 1'000U},
                                    {655'373U, 1'000U}}) {
    std::vector<uint16_t> slots(size);
    std::vector<double> ms;
    for (unsigned i = 0; i < runs + 1; ++i) {
      // Other reals each time, or the branch predictor learns the table by heart.
      std::vector<lb::MaglevReal> r;
      for (uint32_t n = 0; n < reals; ++n) r.push_back({gw_mix(uint64_t{i} << 32 | (n + 1)), 1});
      const auto start = std::chrono::steady_clock::now();
      lb::build_maglev(r, slots);
      const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
      if (i > 0) ms.push_back(took.count());
    }
    std::ranges::sort(ms);
    std::printf("%-24s %12.3f %8.3f to %5.3f\n", (std::to_string(size) + " x " + std::to_string(reals)).c_str(),
                ms[ms.size() / 2], ms.front(), ms.back());
    records.push_back({{"scenario", "maglev size=" + std::to_string(size) + " reals=" + std::to_string(reals)},
                       {"ms", ms[ms.size() / 2]},
                       {"ms_min", ms.front()},
                       {"ms_max", ms.back()}});
  }
  return write_records(json, records) ? 0 : 1;
}

}  // namespace
}  // namespace guideway::bench

int main(int argc, char** argv) {
  CLI::App app("Guideway's benchmarks: medians of interleaved runs on one core, from memory");
  app.require_subcommand(1);
  std::string filter;
  std::string json;
  unsigned runs = 7;
  auto* lb =
      app.add_subcommand("lb", "the load balancer's path: mode x size x flows, 100 reals, each beside its floor");
  lb->add_option("--filter", filter, "only scenarios with this in their name");
  lb->add_option("--runs", runs, "timed runs of each")->check(CLI::Range(1, 1000));
  auto* maglev = app.add_subcommand("maglev", "building Maglev tables");
  maglev->add_option("--runs", runs, "timed builds of each")->check(CLI::Range(1, 1000));
  unsigned turns = 41;
  std::string build = "build";
  auto* commit = app.add_subcommand("commit", "a changed manifest's way to the packets, with the real programs (root)");
  commit->add_option("--turns", turns, "changes of each kind")->check(CLI::Range(1, 10'000));
  commit->add_option("--build", build, "the build directory that has the programs")->capture_default_str();
  guideway::bench::ChurnOptions churn_options;
  auto* churn = app.add_subcommand("churn", "traffic on one core, endpoint changes from the other, in turns with none");
  churn->add_option("--runs", churn_options.runs, "runs of each kind")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  churn->add_option("--seconds", churn_options.seconds, "of a run")
      ->check(CLI::Range(0.1, 60.0))
      ->capture_default_str();
  churn->add_option("--changes", churn_options.changes_per_second, "endpoint changes a second")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  auto* flood =
      app.add_subcommand("flood", "unique SYNs at full rate, beside 1,000 connections that must keep their reals");
  flood->add_option("--runs", runs, "of a million SYNs each")->check(CLI::Range(1, 1000));
  auto* xdp = app.add_subcommand("xdp", "the kernel's way of balancing, by its own statistics (root)");
  xdp->add_option("--runs", runs, "timed runs of each")->check(CLI::Range(1, 1000));
  unsigned services = 10'000;
  auto* scale = app.add_subcommand("scale", "a large state's way to the packets, with the real programs (root)");
  scale->add_option("--services", services, "with ten backends each")
      ->check(CLI::Range(1, 16'384))
      ->capture_default_str();
  scale->add_option("--build", build, "the build directory that has the programs")->capture_default_str();
  for (auto* command : {lb, maglev, commit, churn, flood, xdp, scale})
    command->add_option("--json", json, "write the records to this file too");
  CLI11_PARSE(app, argc, argv);
  if (*churn) return guideway::bench::churn(churn_options, json);
  if (*flood) return guideway::bench::flood(runs, json);
  if (*commit) return guideway::bench::run_commit(build, turns, json);
  if (*xdp) return guideway::bench::xdp(runs, json);
  if (*scale) return guideway::bench::run_scale(build, services, json);
  return *lb ? guideway::bench::run_lb(filter, runs, json) : guideway::bench::run_maglev(runs, json);
}
