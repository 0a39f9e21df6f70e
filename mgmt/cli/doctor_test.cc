// One thing at a time is wrong with a healthy host, and the doctor says so; with a healthy one it has nothing to say.
#include "mgmt/cli/doctor.h"

#include <catch2/catch.hpp>
#include <linux/capability.h>

#include <algorithm>
#include <functional>
#include <set>

namespace guideway::mgmt {
namespace {

using Severity = Finding::Severity;

// What is looked at, all of it as it should be.
struct Patient {
  HostFacts host;
  v1::GetStatusResponse status;
  v1::ListServicesResponse services;
  std::string trouble;

  Patient() {
    host.kernel = "6.1.0-18-amd64";
    host.hugepages_2mb = 512;
    host.clock_synchronized = true;
    host.neighbors = 20;
    host.neighbors_kept = 128;
    host.addresses = {{net::parse_ip("10.0.0.1").value(), 24, "eth0"},
                      {net::parse_ip("2001:db8::1").value(), 64, "eth0"}};
    InterfaceFacts& eth0 = host.interfaces["eth0"];
    eth0 = {.present = true, .driver = "ixgbe", .rx_queues = 2, .rx_ring = 512, .rx_ring_max = 512, .features = {}};
    eth0.features = {{"rx-lro", false}, {"rx-gro-hw", false}, {"rx-vlan-hw-parse", false}, {"rx-gro", true}};
    host.cores = {{2, {{2, 6}, "performance"}}, {3, {{3, 7}, ""}}};
    host.engine =
        ProcessFacts{1ULL << CAP_NET_ADMIN | 1ULL << CAP_NET_RAW | 1ULL << CAP_BPF | 1ULL << CAP_IPC_LOCK, true};
    status.mutable_engine()->set_connected(true);
    engine().set_hugepages(true);
    for (const uint32_t core : {2U, 3U}) {
      engine().add_workers()->set_core(core);
      engine().mutable_workers()->rbegin()->set_received(1'000'000);
    }
    auto& p = *engine().add_ports();
    p.set_name("eth0");
    p.set_kind("af_xdp");
    p.set_queues(2);
    p.set_mtu(1'500);
    p.set_up(true);
    auto& s = *services.add_services();
    s.set_vip("192.0.2.10");
    s.set_mode(v1::FORWARDING_MODE_NAT);
  }
  v1::EngineStatus& engine() { return *status.mutable_engine()->mutable_status(); }
  v1::Port& port() { return *engine().mutable_ports(0); }
  InterfaceFacts& eth0() { return host.interfaces["eth0"]; }
  std::vector<Finding> examine() const { return mgmt::examine(host, status, services, trouble); }
};

TEST_CASE("doctor: nothing is wrong with a healthy host", "[doctor]") {
  const auto findings = Patient().examine();
  INFO(show(findings, {}));
  CHECK(std::ranges::all_of(findings, [](const Finding& f) { return f.severity == Severity::kFine; }));
  std::set<std::string> subjects;
  for (const Finding& f : findings) subjects.insert(f.subject);
  CHECK(subjects == std::set<std::string>{"VIPs", "clock", "desired state", "engine", "hugepages", "kernel",
                                          "port eth0", "privileges", "workers"});
}

struct Ill {
  Severity severity;
  std::string subject;
  std::string text;    // in what is said
  std::string remedy;  // likewise
  std::function<void(Patient&)> make;
};

TEST_CASE("doctor: each trouble is found alone, with its remedy", "[doctor]") {
  constexpr Severity kHint = Severity::kHint;
  constexpr Severity kProblem = Severity::kProblem;
  const std::vector<Ill> all{
      {kProblem, "desired state", "1 parts", "guideway status", [](Patient& p) { p.status.add_problems(); }},
      {kHint, "announcing", "no address", "give it one",
       [](Patient& p) {
         auto& w = *p.engine().add_warnings();
         w.set_subject("announcing");
         w.set_text("no address");
         w.set_remedy("give it one");
       }},
      {kHint, "kernel", "5.15.0-8", "5.16", [](Patient& p) { p.host.kernel = "5.15.0-8-amd64"; }},
      {kProblem, "kernel", "older than 5.12", "newer", [](Patient& p) { p.host.kernel = "4.19.0"; }},
      {kHint, "AF_XDP", "no such sockets", "CONFIG_XDP_SOCKETS", [](Patient& p) { p.host.af_xdp = false; }},
      {kHint, "BPF", "interpreted", "bpf_jit_enable=1", [](Patient& p) { p.host.bpf_jit = false; }},
      {kHint, "clock", "synchronised", "timedatectl", [](Patient& p) { p.host.clock_synchronized = false; }},
      {kHint, "neighbours", "129", "gc_thresh1=258", [](Patient& p) { p.host.neighbors = 129; }},
      {kHint, "hugepages", "plain memory", "echo 1536 >/sys", [](Patient& p) { p.engine().set_hugepages(false); }},
      {kProblem, "privileges", "CAP_BPF", "as root",
       [](Patient& p) { p.host.engine->capabilities &= ~(1ULL << CAP_BPF); }},
      {kHint, "privileges", "aren't filtered", "without --no-seccomp",
       [](Patient& p) { p.host.engine->seccomp = false; }},
      {kHint, "privileges", "no engine is seen", "as root", [](Patient& p) { p.host.engine.reset(); }},
      {kProblem, "privileges", "wouldn't have CAP_PERFMON", "CapabilityBoundingSet",
       [](Patient& p) {
         p.host.engine.reset();
         p.host.root = true;
         p.host.bounding = ~(1ULL << CAP_PERFMON);
       }},
      {kHint, "workers", "cores 2 and 3 share", "lscpu", [](Patient& p) { p.host.cores[2].siblings = {2, 3}; }},
      {kHint, "core 3", "powersave", "cpupower -c 3", [](Patient& p) { p.host.cores[3].governor = "powersave"; }},
      {kHint, "workers", "% of all packets", "ethtool -X",
       [](Patient& p) { p.engine().mutable_workers(0)->set_received(1); }},
      {kProblem, "port eth0", "no link", "ip link set dev eth0 up", [](Patient& p) { p.port().set_up(false); }},
      {kProblem, "port eth0", "no such interface", "where guideway-engine runs", [](Patient& p) { p.eth0() = {}; }},
      {kProblem, "port eth0", "8 receive queues, the engine serves 2", "restart the engine",
       [](Patient& p) { p.eth0().rx_queues = 8; }},
      {kHint, "port eth0", "1 queues for 2 workers", "ethtool -L eth0",
       [](Patient& p) {
         p.port().set_queues(1);
         p.eth0().rx_queues = 1;
       }},
      {kProblem, "port eth0", "rx-lro is on", "ethtool -K eth0 rx-lro off",
       [](Patient& p) { p.eth0().features["rx-lro"] = true; }},
      {kProblem, "port eth0", "rx-gro-hw is on", "rx-gro-hw off",
       [](Patient& p) { p.eth0().features["rx-gro-hw"] = true; }},
      {kHint, "port eth0", "VLAN tags", "rxvlan off", [](Patient& p) { p.eth0().features["rx-vlan-hw-parse"] = true; }},
      {kHint, "port eth0", "512 places of 8192", "rx 4096", [](Patient& p) { p.eth0().rx_ring_max = 8'192; }},
      {kHint, "port eth0", "strict", "conf/eth0/rp_filter=2", [](Patient& p) { p.eth0().rp_filter = 1; }},
      {kHint, "port eth0", "generic mode", "another NIC",
       [](Patient& p) {
         auto& w = *p.engine().add_warnings();
         w.set_subject("port eth0");
         w.set_text("runs XDP in generic mode");
         w.set_remedy("another NIC");
       }},
      {kHint, "encapsulation", "no port", "mtu 1540",
       [](Patient& p) { p.services.mutable_services(0)->set_mode(v1::FORWARDING_MODE_DSR_IPIP); }},
      {kHint, "encapsulation", "no port", "mtu 1548",
       [](Patient& p) { p.services.mutable_services(0)->set_mode(v1::FORWARDING_MODE_DSR_GUE); }},
      {kProblem, "VIP 192.0.2.10", "address of lo", "ip address del 192.0.2.10/24 dev lo",
       [](Patient& p) { p.host.addresses.push_back({net::parse_ip("192.0.2.10").value(), 24, "lo"}); }},
  };
  for (const Ill& ill : all) {
    Patient p;
    ill.make(p);
    const auto findings = p.examine();
    INFO(ill.subject << ", " << ill.text << ":\n" << show(findings, {}));
    const auto found = [&](const Finding& f) {
      return f.severity == ill.severity && f.subject == ill.subject && f.text.find(ill.text) != std::string::npos &&
             f.remedy.find(ill.remedy) != std::string::npos;
    };
    CHECK(std::ranges::count_if(findings, found) == 1);
    CHECK(std::ranges::count_if(findings, [](const Finding& f) { return f.severity != Severity::kFine; }) == 1);
    CHECK(found(findings.front()));  // before what is fine
    for (const Finding& f : findings) CHECK((f.severity == Severity::kFine) == f.remedy.empty());
  }
}

TEST_CASE("doctor: what looks wrong and isn't", "[doctor]") {
  const std::vector<std::function<void(Patient&)>> all{
      [](Patient& p) {  // it sees to that by itself
        p.eth0().driver = "virtio_net";
        p.eth0().features["rx-gro-hw"] = true;
      },
      [](Patient& p) {  // one port with room is that towards the backends
        p.services.mutable_services(0)->set_mode(v1::FORWARDING_MODE_DSR_GUE);
        auto& dpdk = *p.engine().add_ports();
        dpdk.set_kind("net_ring");
        dpdk.set_mtu(9'000);
        dpdk.set_up(true);
      },
      [](Patient& p) {  // not told in this namespace
        p.host.neighbors = 1'000;
        p.host.neighbors_kept.reset();
      },
      [](Patient& p) {  // none runs yet
        p.host.engine.reset();
        p.host.root = true;
        p.host.bounding = ~0ULL;
      }};
  for (const auto& make : all) {
    Patient p;
    make(p);
    const auto findings = p.examine();
    INFO(show(findings, {}));
    CHECK(std::ranges::all_of(findings, [](const Finding& f) { return f.severity == Severity::kFine; }));
  }
}

TEST_CASE("doctor: without daemon or engine the host is looked at all the same", "[doctor]") {
  Patient p;
  p.status = {};
  p.services = {};
  p.trouble = "guidewayd can't be reached: is it running?";
  p.host.engine.reset();
  p.host.bpffs = false;
  const std::string text = show(p.examine(), {});
  INFO(text);
  CHECK(text.starts_with("problem   daemon: guidewayd can't be reached: is it running?\n"));
  CHECK(text.find("hint      bpffs: ") != std::string::npos);
  CHECK(text.find("hint      hugepages: 0 of 512 pages of 2 MB are free") != std::string::npos);
  p.trouble.clear();
  p.status.mutable_engine()->set_trouble("no socket");
  CHECK(show(p.examine(), {}).starts_with("problem   engine: guidewayd isn't connected to it: no socket\n"));
}

TEST_CASE("doctor: findings as JSON", "[doctor]") {
  const std::string json = to_json({{Severity::kHint, "a \"b\"", "text", "remedy"}, {}});
  INFO(json);
  CHECK(json.find("\"subject\": \"a \\\"b\\\"\"") != std::string::npos);
  CHECK(json.find("\"severity\": \"hint\"") != std::string::npos);
  CHECK(json.find("\"severity\": \"fine\"") != std::string::npos);
}

}  // namespace
}  // namespace guideway::mgmt
