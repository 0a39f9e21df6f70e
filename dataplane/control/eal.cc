#include "dataplane/control/eal.h"

#include <absl/strings/str_cat.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <sched.h>

#include <algorithm>
#include <fstream>

namespace guideway::control {

namespace {

// The cores that control may use: those of the process that no worker has, or all where none is left.
std::string control_cores(const std::vector<unsigned>& workers) {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof set, &set);
  std::string rest;
  std::string all;
  for (unsigned c = 0; c < CPU_SETSIZE; ++c) {
    if (!CPU_ISSET(c, &set)) continue;
    absl::StrAppend(&all, all.empty() ? "" : ",", c);
    if (std::ranges::find(workers, c) == workers.end()) absl::StrAppend(&rest, rest.empty() ? "" : ",", c);
  }
  return rest.empty() ? all : rest;
}

}  // namespace

unsigned free_hugepages() {
  std::ifstream file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
  unsigned n = 0;
  file >> n;
  return n;
}

absl::Status init_eal(const EalOptions& options) {
  std::string lcores = absl::StrCat("0@(", control_cores(options.worker_cores), ")");
  for (size_t i = 0; i < options.worker_cores.size(); ++i)
    absl::StrAppend(&lcores, ",", i + 1, "@", options.worker_cores[i]);
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
  if (rte_eal_init(static_cast<int>(words.size()), argv.data()) < 0)
    return absl::InternalError(absl::StrCat("DPDK can't start: ", rte_strerror(rte_errno), "; give it memory (",
                                            options.memory_mb, " MB), or try --no-huge"));
  return absl::OkStatus();
}

}  // namespace guideway::control
