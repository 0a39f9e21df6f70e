#include "dataplane/control/eal.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_log.h>
#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <ranges>
#include <string_view>

#include "log/trouble.h"

namespace guideway::control {

namespace {

// A thread of DPDK's that waits on one of control's cores for work.
struct Helper {
  unsigned lcore;
  unsigned core;
};
std::vector<Helper> helpers;  // the process's, as DPDK's environment is
constexpr size_t kMaxHelpers = 16;

// The cores that control may use: those of the process that no worker has for itself, or all where none is left.
std::vector<unsigned> control_cores(const EalOptions& options) {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof set, &set);
  std::vector<unsigned> rest;
  std::vector<unsigned> all;
  for (unsigned c = 0; c < CPU_SETSIZE; ++c) {
    if (!CPU_ISSET(c, &set)) continue;
    all.push_back(c);
    if (options.shared_cores || std::ranges::find(options.worker_cores, c) == options.worker_cores.end())
      rest.push_back(c);
  }
  return rest.empty() ? all : rest;
}

constexpr const char* kHugepages = "/sys/kernel/mm/hugepages/hugepages-2048kB/";
constexpr unsigned kMorePages = 1024;

unsigned hugepages(const char* which) {
  std::ifstream file(absl::StrCat(kHugepages, which));
  unsigned n = 0;
  file >> n;
  return n;
}

// We know no better of a line that isn't ours.
constexpr const char* kDpdkRemedy = "if the engine needs what failed there, its next line says what to do";

ssize_t log_line(void*, const char* text, size_t n) {
  std::string_view line(text, n);
  while (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  if (!line.empty()) log::warn({"DPDK", std::string(line), kDpdkRemedy});
  return static_cast<ssize_t>(n);
}

// What DPDK complains of stands in our log, in its format.
void take_dpdk_log() {
  std::FILE* stream =
      ::fopencookie(nullptr, "w", {.read = nullptr, .write = log_line, .seek = nullptr, .close = nullptr});
  if (stream == nullptr) return;
  std::setvbuf(stream, nullptr, _IOLBF, 0);
  rte_openlog_stream(stream);
}

}  // namespace

unsigned free_hugepages() { return hugepages("free_hugepages"); }

std::string more_hugepages() {
  return absl::StrCat("echo ", hugepages("nr_hugepages") + kMorePages, " >", kHugepages, "nr_hugepages");
}

absl::Status init_eal(const EalOptions& options) {
  const std::vector<unsigned> control = control_cores(options);
  std::string lcores = absl::StrCat("0@(", absl::StrJoin(control, ","), ")");
  unsigned lcore = 0;
  for (const unsigned core : options.worker_cores) absl::StrAppend(&lcores, ",", ++lcore, "@", core);
  if (control.size() > 1)
    for (const unsigned core : control | std::views::take(kMaxHelpers)) {
      helpers.push_back({++lcore, core});
      absl::StrAppend(&lcores, ",", lcore, "@", core);
    }
  std::vector<std::string> words{"guideway-engine",
                                 "--lcores",
                                 lcores,
                                 "-m",
                                 absl::StrCat(options.memory_mb),
                                 "--no-pci",
                                 "--no-telemetry",
                                 "--iova-mode=va",
                                 "--log-level=error"};
  // DPDK 22.11 takes --no-huge only without --in-memory.
  if (options.huge)
    words.push_back("--in-memory");
  else
    words.insert(words.end(), {"--no-huge", "--no-shconf"});
  std::vector<char*> argv;
  for (std::string& w : words) argv.push_back(w.data());
  argv.push_back(nullptr);
  take_dpdk_log();
  if (rte_eal_init(static_cast<int>(words.size()), argv.data()) < 0)
    return log::failure(absl::StatusCode::kInternal, absl::StrCat("DPDK can't start: ", rte_strerror(rte_errno)),
                        absl::StrCat("give it memory (", options.memory_mb, " MB), or try --no-huge"));
  return absl::OkStatus();
}

void on_control_cores(const std::function<void()>& work) {
  const auto run = [](void* argument) {
    (*static_cast<const std::function<void()>*>(argument))();
    return 0;
  };
  const auto here = static_cast<unsigned>(sched_getcpu());
  std::vector<unsigned> launched;
  for (const Helper& h : helpers)
    if (h.core != here && rte_eal_remote_launch(run, const_cast<std::function<void()>*>(&work), h.lcore) == 0)
      launched.push_back(h.lcore);
  work();
  for (const unsigned lcore : launched) rte_eal_wait_lcore(lcore);
}

}  // namespace guideway::control
