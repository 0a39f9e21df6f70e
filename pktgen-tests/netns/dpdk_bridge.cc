// What comes in by one of two DPDK ports goes out by the other, unchanged: the far end of the engine's memif, with
// files of packets behind it.
//
//   dpdk_bridge DEVARGS_A DEVARGS_B
//
// Says how many packets came back from B so far. Ends on SIGTERM. Exit code 1 with a sentence if it can't start.
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <iostream>

#include "dataplane/control/eal.h"
#include "dataplane/control/ethdev_port.h"

namespace {

using namespace guideway;

std::atomic<bool> stopping{false};

// How many. A port that isn't connected yet takes nothing: what it is to have waits.
unsigned pass_on(path::PortQueue& from, path::PortQueue& to) {
  std::array<rte_mbuf*, 32> mbufs;
  const unsigned n = path::with(from, [&](auto& q) { return q.receive(mbufs); });
  for (unsigned sent = 0; sent < n && !stopping;) {
    sent += path::with(to, [&](auto& q) { return q.send({mbufs.data() + sent, n - sent}); });
    if (sent < n) usleep(1'000);
  }
  return n;
}

int run(const char* a, const char* b) {
  absl::Status started = control::init_eal({.huge = false, .memory_mb = 64, .worker_cores = {}});
  rte_mempool* pool = started.ok() ? rte_pktmbuf_pool_create("packets", 8'191, 0, 0, 4'096, SOCKET_ID_ANY) : nullptr;
  if (pool == nullptr) {
    std::cerr << "dpdk_bridge: " << started.message() << '\n';
    return 1;
  }
  auto left = control::open_ethdev_port(a, {}, 0, 1, pool);
  auto right = control::open_ethdev_port(b, {}, 1, 1, pool);
  for (const auto* port : {&left, &right})
    if (!port->ok()) {
      std::cerr << "dpdk_bridge: " << port->status().message() << '\n';
      return 1;
    }
  unsigned back = 0;
  while (!stopping) {
    pass_on(*left->queues[0], *right->queues[0]);
    if (const unsigned n = pass_on(*right->queues[0], *left->queues[0])) std::cout << (back += n) << std::endl;
    usleep(100);
  }
  control::close_ethdev_port(*left);
  control::close_ethdev_port(*right);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: dpdk_bridge DEVARGS_A DEVARGS_B\n";
    return 2;
  }
  std::signal(SIGTERM, [](int) { stopping = true; });
  return run(argv[1], argv[2]);
}
