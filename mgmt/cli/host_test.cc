// What is read from /proc and /sys, of files that this test writes. What system calls tell is looked at in
// pktgen-tests/netns/doctor_test.sh.
#include "mgmt/cli/host.h"

#include <catch2/catch.hpp>
#include <linux/capability.h>

#include <filesystem>

#include "mgmt/testing/rig.h"

namespace guideway::mgmt {
namespace {

// A root directory.
struct Root {
  TemporaryDirectory dir;

  void file(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(dir / path).parent_path());
    write_file(dir / path, text);
  }
  // A process in a network namespace.
  void process(const std::string& pid, const std::string& name, const std::string& space, const std::string& status) {
    file("proc/" + pid + "/comm", name + "\n");
    file("proc/" + pid + "/status", status);
    std::filesystem::create_directories(dir / ("proc/" + pid + "/ns"));
    std::filesystem::create_symlink(space, dir / ("proc/" + pid + "/ns/net"));
  }
  HostFacts look(const std::vector<std::string>& interfaces = {}, const std::vector<uint32_t>& cores = {}) const {
    return look_at_host(interfaces, cores, {}, dir / "");
  }
};

TEST_CASE("host: pages, neighbours and the BPF compiler", "[doctor]") {
  Root root;
  root.file("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "1024\n");
  root.file("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "300\n");
  root.file("proc/sys/net/core/bpf_jit_enable", "0\n");
  root.file("proc/net/arp", "IP address  HW type\n10.0.0.2  0x1\n10.0.0.3  0x1\n");
  root.file("proc/sys/net/ipv4/neigh/default/gc_thresh1", "128\n");
  root.file("proc/sys/net/ipv4/neigh/default/gc_thresh2", "512\n");
  root.file("proc/sys/net/ipv4/neigh/default/gc_thresh3", "1024\n");
  const HostFacts h = root.look();
  CHECK(h.hugepages_2mb == 1024);
  CHECK(h.hugepages_2mb_free == 300);
  CHECK_FALSE(h.bpf_jit);
  CHECK_FALSE(h.bpffs);
  CHECK(h.neighbors == 2);
  CHECK(h.neighbors_kept == 128U);
  CHECK(h.neighbors_soft_limit == 512);
  CHECK(h.neighbors_limit == 1024);
}

TEST_CASE("host: what it doesn't tell stays unknown", "[doctor]") {
  const HostFacts h = Root().look({"none0"}, {5});
  CHECK(h.hugepages_2mb == 0);
  CHECK(h.bpf_jit);  // a kernel that has nothing else has no such file
  CHECK(h.neighbors == 0);
  CHECK_FALSE(h.neighbors_kept);
  CHECK_FALSE(h.engine);
  CHECK_FALSE(h.interfaces.at("none0").present);
  CHECK(h.cores.at(5).siblings.empty());
  CHECK(h.cores.at(5).governor.empty());
}

TEST_CASE("host: what has no way out has none", "[doctor]") {
  const auto own = net::parse_ip("127.0.0.1").value();
  CHECK(look_at_host({}, {}, {own}).egress.empty());
}

TEST_CASE("host: cores", "[doctor]") {
  Root root;
  root.file("sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "0-1,4\n");
  root.file("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "powersave\n");
  root.file("sys/devices/system/cpu/cpu3/topology/thread_siblings_list", "3\n");
  const HostFacts h = root.look({}, {1, 3});
  CHECK(h.cores.at(1).siblings == std::vector<uint32_t>{0, 1, 4});
  CHECK(h.cores.at(1).governor == "powersave");
  CHECK(h.cores.at(3).siblings == std::vector<uint32_t>{3});
  CHECK(h.cores.at(3).governor.empty());
}

TEST_CASE("host: the stricter reverse-path filter is in force", "[doctor]") {
  const auto [all, own, in_force] = GENERATE(table<int, int, uint32_t>({{0, 1, 1}, {2, 1, 2}, {1, 0, 1}, {0, 0, 0}}));
  Root root;
  root.file("proc/sys/net/ipv4/conf/all/rp_filter", std::to_string(all) + "\n");
  root.file("proc/sys/net/ipv4/conf/lo/rp_filter", std::to_string(own) + "\n");
  const HostFacts h = root.look({"lo"});
  CHECK(h.interfaces.at("lo").present);
  CHECK(h.interfaces.at("lo").rp_filter == in_force);
}

TEST_CASE("host: the engine of this network namespace", "[doctor]") {
  Root root;
  root.process("self", "guideway", "net:[1]", "CapEff:\t0000000000000000\nCapBnd:\t00000000000001ff\n");
  root.process("10", "sshd", "net:[1]", "CapEff:\t0000000000000001\n");
  root.process("11", "guideway-engine", "net:[2]", "CapEff:\t0000000000000002\nSeccomp:\t2\n");
  CHECK_FALSE(root.look().engine);
  root.process("12", "guideway-engine", "net:[1]",
               "CapPrm:\t0000000000000004\nCapEff:\t0000008000003000\nSeccomp:\t2\n");
  const HostFacts h = root.look();
  CHECK(h.bounding == 0x1ff);
  REQUIRE(h.engine);
  CHECK(h.engine->capabilities == (1ULL << CAP_NET_ADMIN | 1ULL << CAP_NET_RAW | 1ULL << CAP_BPF));
  CHECK(h.engine->seccomp);
  root.file("proc/12/status", "CapEff:\t0000008000003000\nSeccomp:\t0\n");
  CHECK_FALSE(root.look().engine->seccomp);
}

TEST_CASE("host: a daemon in another network namespace isn't this host's", "[doctor]") {
  Root root;
  root.process("self", "guideway", "net:[1]", "");
  root.process("10", "guidewayd", "net:[2]", "");
  CHECK_FALSE(root.look().daemon);
  root.file("proc/11/comm", "guidewayd\n");  // of another user, who doesn't show its namespace
  CHECK(root.look().daemon);
}

}  // namespace
}  // namespace guideway::mgmt
