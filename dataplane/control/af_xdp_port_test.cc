// A port's sockets, closed and opened again, on an interface of a network and mount namespace that die with this
// process. Needs root; says so and passes without.
#include "dataplane/control/af_xdp_port.h"

#include <catch2/catch.hpp>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <iostream>

#include "dataplane/control/eal_for_test.h"
#include "dataplane/control/packet_memory.h"

namespace guideway::control {
namespace {

void shell(const char* command) {
  INFO(command);
  REQUIRE(std::system(command) == 0);  // NOLINT(cert-env33-c)
}

TEST_CASE("sockets are opened again on an interface that was renamed, and not on one that is gone") {
  if (geteuid() != 0) {
    std::cout << "skipped: attaching an XDP program needs root\n";
    return;
  }
  start_eal();
  REQUIRE(unshare(CLONE_NEWNET | CLONE_NEWNS) == 0);
  REQUIRE(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
  REQUIRE(mount("none", "/mnt", "bpf", 0, nullptr) == 0);
  shell("ip link add gwt0 type veth peer name gwt1 && ip link set gwt0 up && ip link set gwt1 up");
  const auto memory = PacketMemory::create("port", kFramesPerQueue + 64, 0, false);
  REQUIRE(memory.ok());
  const auto tables = xdp::KernelTables::create();
  REQUIRE(tables.ok());
  const auto port = AfXdpPort::load({.ifname = "gwt0", .queues = {}, .bpffs = "/mnt/guideway"}, **tables);
  INFO(port.status().ToString());
  REQUIRE(port.ok());
  REQUIRE((*port)->attach().ok());
  REQUIRE((*port)->open_queues(memory->frames()).ok());
  const auto reopen = [&] {
    (*port)->close_queues();
    const absl::Status s = (*port)->reopen_queues();
    INFO(s.ToString());
    CHECK(s.ok());
    return (*port)->statistics(0).ok();
  };
  CHECK(reopen());
  shell("ip link set dev gwt0 name gwt2");
  CHECK(reopen());

  // Another one of its name isn't it.
  shell("ip link del gwt2 && ip link add gwt0 type veth peer name gwt1 && ip link set gwt0 up");
  CHECK_FALSE(reopen());
  path::AfXdpQueue queue = (*port)->queues()[0];
  std::array<rte_mbuf*, 8> burst{};
  CHECK(queue.receive(burst) == 0);
  queue.flush();
}

}  // namespace
}  // namespace guideway::control
