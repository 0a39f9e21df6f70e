// DPDK's environment, once a process.
#pragma once

#include <absl/status/status.h>

#include <string>
#include <vector>

namespace guideway::control {

struct EalOptions {
  bool huge = true;          // 2 MB pages; false: plain memory
  unsigned memory_mb = 128;  // of DPDK's own heap: rings, the exception table
  std::vector<unsigned> worker_cores;
};

// Threads that it starts stay on `worker_cores`, which become lcores 1, 2, …; the calling thread is lcore 0, anywhere
// else. No PCI, no files shared with other processes: a second engine is kept out by a lock of ours.
absl::Status init_eal(const EalOptions& options);

// Free 2 MB pages on this host.
unsigned free_hugepages();

}  // namespace guideway::control
