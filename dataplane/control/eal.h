// DPDK's environment, once a process.
#pragma once

#include <absl/status/status.h>

#include <functional>
#include <string>
#include <vector>

namespace guideway::control {

struct EalOptions {
  bool huge = true;          // 2 MB pages; false: plain memory
  unsigned memory_mb = 128;  // of DPDK's own heap: rings, the exception table
  std::vector<unsigned> worker_cores;
  bool shared_cores = false;  // control may use the workers' cores too
};

// Threads that it starts stay on `worker_cores`, which become lcores 1, 2, …; the calling thread is lcore 0, on
// control's cores. No PCI, no files shared with other processes: a second engine is kept out by a lock of ours.
absl::Status init_eal(const EalOptions& options);

// Calls `work` here and, at the same time, on each other core that is control's; returns once all have returned.
void on_control_cores(const std::function<void()>& work);

// Free 2 MB pages on this host.
unsigned free_hugepages();
// The command by which there are enough more of them for an engine of a few workers.
std::string more_hugepages();

}  // namespace guideway::control
