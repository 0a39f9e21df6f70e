// One thing at a time is wrong with a healthy host, and the doctor says so; with a healthy one it has nothing to say.
#include "mgmt/cli/doctor.h"

#include <catch2/catch.hpp>
#include <linux/capability.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <regex>
#include <set>

namespace guideway::mgmt {
namespace {

using Severity = Finding::Severity;

// What is looked at, all of it as it should be.
struct Patient {
  HostFacts host;
  v1::GetStatusResponse status;
  v1::ListServicesResponse services;
  v1::ListBackendsResponse backends;
  std::string trouble;
  std::string guideway = "guideway --server 'unix:/tmp/api.sock'";

  Patient() {
    host.kernel = "6.1.0-18-amd64";
    host.hugepages_2mb = 512;
    host.clock_synchronized = true;
    host.neighbors = 20;
    host.neighbors_kept = 128;
    host.neighbors_soft_limit = 512;
    host.neighbors_limit = 4'096;
    host.addresses = {{net::parse_ip("10.0.0.1").value(), 24, "eth0"},
                      {net::parse_ip("2001:db8::1").value(), 64, "eth0"}};
    InterfaceFacts& eth0 = host.interfaces["eth0"];
    eth0 = {.present = true,
            .up = true,
            .driver = "ixgbe",
            .rx_queues = 2,
            .rx_queues_max = 8,
            .rx_ring = RingFacts{512, 512},
            .tx_ring = RingFacts{512, 512},
            .features = {}};
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
    add_backend("192.0.2.10", "10.0.0.20", "eth0");
  }
  // Routed by eth0 or another interface, if at all.
  void add_backend(const std::string& vip, const std::string& address, const std::string& interface) {
    auto& b = *backends.add_backends();
    b.set_vip(vip);
    b.set_address(address);
    if (!interface.empty()) host.egress[net::parse_ip(address).value()] = {interface, 1'500, ""};
  }
  void set_mode(v1::ForwardingMode mode) { services.mutable_services(0)->set_mode(mode); }
  // That has room for an outer header.
  void add_port(const std::string& name, const std::string& kind) {
    host.interfaces[name] = eth0();
    auto& p = *engine().add_ports();
    p = port();
    p.set_name(name);
    p.set_kind(kind);
    p.set_mtu(1'600);
  }
  // As the engine tells it.
  void lose_link(const std::string& text, const std::string& remedy) {
    port().set_up(false);
    auto& w = *engine().add_warnings();
    w.set_subject("port eth0");
    w.set_text(text);
    w.set_remedy(remedy);
  }
  v1::EngineStatus& engine() { return *status.mutable_engine()->mutable_status(); }
  v1::Port& port() { return *engine().mutable_ports(0); }
  InterfaceFacts& eth0() { return host.interfaces["eth0"]; }
  std::vector<Finding> examine() const { return mgmt::examine(host, status, services, backends, trouble, guideway); }
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

// A shell takes it, it begins with a program, and there is nothing left to be filled in.
bool can_be_pasted(const std::string& remedy) {
  static const std::set<std::string> kPrograms{"apt",        "echo",   "editor",    "ethtool",    "guideway", "ip",
                                               "journalctl", "lscpu",  "mount",     "nsenter",    "ps",       "sed",
                                               "sudo",       "sysctl", "systemctl", "timedatectl"};
  static const std::regex kPlaceholder("\\b[A-Z]{2,}\\b");
  ::setenv("REMEDY", remedy.c_str(), 1);
  return kPrograms.contains(remedy.substr(0, remedy.find(' '))) && !std::regex_search(remedy, kPlaceholder) &&
         std::system("sh -nc \"$REMEDY\"") == 0;
}

struct Ill {
  Severity severity;
  std::string subject;
  std::string text;    // in what is said
  std::string remedy;  // likewise
  std::function<void(Patient&)> make;
};

void find_alone(const Ill& ill, bool pasted) {
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
  for (const Finding& f : findings) {
    CHECK((f.severity == Severity::kFine) == f.remedy.empty());
    if (!f.remedy.empty()) CHECK(can_be_pasted(f.remedy) == pasted);
  }
}

TEST_CASE("doctor: each trouble is found alone, with its remedy", "[doctor]") {
  constexpr Severity kHint = Severity::kHint;
  constexpr Severity kProblem = Severity::kProblem;
  const std::vector<Ill> all{
      {kProblem, "desired state", "1 parts", "guideway --server 'unix:/tmp/api.sock' status",
       [](Patient& p) { p.status.add_problems(); }},
      {kHint, "kernel", "5.15.0-8", "apt install linux-image-", [](Patient& p) { p.host.kernel = "5.15.0-8-amd64"; }},
      {kProblem, "kernel", "older than 5.12", "apt install linux-image-", [](Patient& p) { p.host.kernel = "4.19.0"; }},
      {kHint, "AF_XDP", "CONFIG_XDP_SOCKETS", "apt install linux-image-", [](Patient& p) { p.host.af_xdp = false; }},
      {kHint, "BPF", "interpreted", "sysctl net.core.bpf_jit_enable=1 && systemctl restart guideway-engine",
       [](Patient& p) { p.host.bpf_jit = false; }},
      {kHint, "clock", "synchronised", "timedatectl", [](Patient& p) { p.host.clock_synchronized = false; }},
      {kHint, "neighbours", "129",
       "gc_thresh1=258 net.ipv4.neigh.default.gc_thresh2=516 net.ipv4.neigh.default.gc_thresh3=4096",
       [](Patient& p) { p.host.neighbors = 129; }},
      {kHint, "hugepages", "plain memory", "echo 1536 >/sys", [](Patient& p) { p.engine().set_hugepages(false); }},
      {kProblem, "privileges", "CAP_BPF: as root", "systemctl restart guideway-engine",
       [](Patient& p) { p.host.engine->capabilities &= ~(1ULL << CAP_BPF); }},
      {kHint, "privileges", "aren't filtered", "sed -i 's/ *--no-seccomp//' /etc/default/guideway-engine",
       [](Patient& p) { p.host.engine->seccomp = false; }},
      {kHint, "privileges", "no engine is seen", "sudo guideway --server 'unix:/tmp/api.sock' doctor",
       [](Patient& p) { p.host.engine.reset(); }},
      {kHint, "workers", "cores 2 and 3 share", "lscpu -e && editor /etc/default/guideway-engine",
       [](Patient& p) { p.host.cores[2].siblings = {2, 3}; }},
      {kHint, "core 3", "powersave", "echo performance >/sys/devices/system/cpu/cpu3/",
       [](Patient& p) { p.host.cores[3].governor = "powersave"; }},
      {kHint, "workers", "% of all packets: the interfaces' queues",
       "ethtool -X eth0 equal 2; for type in tcp4 tcp6 udp4 udp6; do ethtool -N eth0 rx-flow-hash $type sdfn; done",
       [](Patient& p) { p.engine().mutable_workers(0)->set_received(1); }},
      {kHint, "workers", "% of all packets: no port has several queues", "editor /etc/default/guideway-engine",
       [](Patient& p) {
         p.engine().mutable_workers(0)->set_received(1);
         p.port().set_kind("net_memif");
       }},
      {kProblem, "port eth0", "it is down", "ip link set dev eth0 up",
       [](Patient& p) {  // said once, though the engine says so too
         p.lose_link("its interface is down", "ip link set dev eth0 up");
         p.eth0().up = false;
       }},
      {kProblem, "port eth0", "no such interface", "ip link", [](Patient& p) { p.eth0() = {}; }},
      {kHint, "port eth0", "is called ethx now", "ip link set dev ethx name eth0",
       [](Patient& p) {
         p.eth0() = {};
         v1::Warning& w = *p.engine().add_warnings();
         w.set_subject("port eth0");
         w.set_text("its interface is called ethx now: traffic goes on, but no restart finds it");
         w.set_remedy("ip link set dev ethx name eth0");
       }},
      {kProblem, "network", "eth1 isn't here",
       "nsenter --net --target $(pgrep -ox guideway-engine) guideway --server 'unix:/tmp/api.sock' doctor",
       [](Patient& p) {  // nothing is said of another eth0, of addresses and neighbours that aren't the engine's
         p.host.engine.reset();
         p.add_port("eth1", "af_xdp");
         p.host.interfaces["eth1"] = {};
         p.eth0().rx_queues = 8;
         p.host.neighbors = 129;
         p.host.addresses.push_back({net::parse_ip("192.0.2.10").value(), 24, "lo"});
         p.set_mode(v1::FORWARDING_MODE_DSR_GUE);
       }},
      {kProblem, "port eth0", "8 receive queues, the engine serves 2", "ethtool -L eth0 combined 2",
       [](Patient& p) { p.eth0().rx_queues = 8; }},
      {kProblem, "port eth0", "8 receive queues, the engine serves 2", "ethtool -L eth0 rx 2 tx 2",
       [](Patient& p) {
         p.eth0().rx_queues = 8;
         p.eth0().combined_queues = false;
       }},
      {kHint, "port eth0", "1 queues for 2 workers", "ethtool -L eth0 combined 2 && systemctl restart guideway-engine",
       [](Patient& p) {
         p.port().set_queues(1);
         p.eth0().rx_queues = 1;
       }},
      {kHint, "port eth0", "it can't have more, so --workers 1", "editor /etc/default/guideway-engine",
       [](Patient& p) {
         p.port().set_queues(1);
         p.eth0().rx_queues = p.eth0().rx_queues_max = 1;
       }},
      {kProblem, "port eth0", "rx-lro is on", "ethtool -K eth0 rx-lro off",
       [](Patient& p) { p.eth0().features["rx-lro"] = true; }},
      {kProblem, "port eth0", "rx-gro-hw is on", "rx-gro-hw off",
       [](Patient& p) { p.eth0().features["rx-gro-hw"] = true; }},
      {kHint, "port eth0", "VLAN tags", "rxvlan off", [](Patient& p) { p.eth0().features["rx-vlan-hw-parse"] = true; }},
      {kHint, "port eth0", "its receive ring has 512 places of 8192", "ethtool -G eth0 rx 4096;",
       [](Patient& p) { p.eth0().rx_ring->max = 8'192; }},
      {kHint, "port eth0", "its transmit ring has 512 places of 2048", "ethtool -G eth0 tx 2048;",
       [](Patient& p) { p.eth0().tx_ring->max = 2'048; }},
      {kHint, "port eth0", "places of 1024 possible, its transmit ring", "ethtool -G eth0 rx 1024 tx 2048;",
       [](Patient& p) {
         p.eth0().rx_ring->max = 1'024;
         p.eth0().tx_ring->max = 2'048;
       }},
      {kHint, "port eth0", "both ends", "ethtool -K eth0 tx off tso off gso off",
       [](Patient& p) {
         p.eth0().driver = "veth";
         p.eth0().features["tx-checksum-ip-generic"] = true;
       }},
      {kHint, "port eth0", "both ends", "tso off",
       [](Patient& p) {
         p.eth0().driver = "veth";
         p.eth0().features["tx-tcp6-segmentation"] = true;
       }},
      {kHint, "port eth0", "it is a veth", "gso off",
       [](Patient& p) {  // said once, though the engine has said so when it began
         p.eth0().driver = "veth";
         p.eth0().features["tx-generic-segmentation"] = true;
         auto& w = *p.engine().add_warnings();
         w.set_subject("port eth0");
         w.set_text("eth0 is a veth with offloads");
         w.set_remedy("ethtool -K eth0 tx off tso off gso off");
       }},
      {kHint, "port eth0", "strict", "conf/eth0/rp_filter=2", [](Patient& p) { p.eth0().rp_filter = 1; }},
      {kHint, "encapsulation", "eth0 has an MTU of 1500", "ip link set dev eth0 mtu 1520",
       [](Patient& p) { p.set_mode(v1::FORWARDING_MODE_DSR_IPIP); }},
      {kHint, "encapsulation", "it needs 1548", "ip link set dev eth0 mtu 1548",
       [](Patient& p) {  // the most of what goes that way
         p.set_mode(v1::FORWARDING_MODE_DSR_GUE);
         p.add_backend("192.0.2.10", "2001:db8::20", "eth0");
         p.add_backend("192.0.2.10", "10.0.0.21", "eth0");
       }},
      {kHint, "encapsulation", "eth0 has an MTU of 1500", "ip link set dev eth0 mtu 1528",
       [](Patient& p) {  // that towards the clients has room
         p.set_mode(v1::FORWARDING_MODE_DSR_GUE);
         p.add_port("eth1", "af_xdp");
       }},
      {kHint, "encapsulation", "eth0.7 has an MTU of 1500",
       "ip link set dev eth0 mtu 1520; ip link set dev eth0.7 mtu 1520",
       [](Patient& p) {
         p.set_mode(v1::FORWARDING_MODE_DSR_IPIP);
         p.host.egress.begin()->second = {"eth0.7", 1'500, "eth0"};
       }},
      {kProblem, "port eth1", "no link", "ip link set dev eth1 up",
       [](Patient& p) {  // by which backends were routed, and now are towards the clients
         p.set_mode(v1::FORWARDING_MODE_DSR_GUE);
         p.add_port("eth1", "af_xdp");
         p.engine().mutable_ports(1)->set_up(false);
         p.host.interfaces["eth1"].up = false;
       }},
      {kProblem, "VIP 192.0.2.10", "address of lo", "ip address del 192.0.2.10/24 dev lo",
       [](Patient& p) { p.host.addresses.push_back({net::parse_ip("192.0.2.10").value(), 24, "lo"}); }},
      {kProblem, "daemon", "can't be reached", "systemctl start guidewayd",
       [](Patient& p) {
         p.trouble = "guidewayd can't be reached";
         p.status.mutable_engine()->mutable_status()->clear_ports();
       }},
      {kProblem, "engine", "no socket", "systemctl start guideway-engine",
       [](Patient& p) {
         p.status.mutable_engine()->set_connected(false);
         p.status.mutable_engine()->set_trouble("no socket");
       }},
      {kProblem, "engine", "stop one of the two", "ps -o pid,args -C guidewayd",
       [](Patient& p) {
         p.status.mutable_engine()->set_connected(false);
         p.status.mutable_engine()->set_trouble("another guidewayd (pid 7) drives this engine; stop one of the two");
       }},
      {kProblem, "engine", "of the contract", "systemctl restart guideway-engine",
       [](Patient& p) {
         p.status.mutable_engine()->set_connected(false);
         p.status.mutable_engine()->set_trouble(
             "the engine (0.1.0) speaks version 1 of the contract, guidewayd version 2; install both from one release");
       }},
      {kProblem, "engine", "hasn't answered for 3 s", "systemctl restart guideway-engine",
       [](Patient& p) {
         p.status.mutable_engine()->set_trouble("the engine hasn't answered for 3 s");
         p.status.add_problems()->set_object("guideway-engine");
       }},
      {kHint, "engine", "a large change", "guideway --server 'unix:/tmp/api.sock' status",
       [](Patient& p) { p.status.mutable_engine()->clear_status(); }},
      {kHint, "backends", "new connections of demo/web", "guideway --server 'unix:/tmp/api.sock' backends",
       [](Patient& p) {
         v1::VipRow& s = *p.services.add_services();
         s.set_namespace_("demo");
         s.set_name("web");
         s.set_state(v1::VipRow::STATE_NO_BACKEND);
       }},
      {kHint, "desired state", "hasn't confirmed", "guideway --server 'unix:/tmp/api.sock' status",
       [](Patient& p) { p.status.mutable_desired()->set_counter(p.status.applied().counter() + 1); }},
  };
  for (const Ill& ill : all) find_alone(ill, true);
  const std::vector<Ill> by_a_sentence{
      {kHint, "announcing", "no address", "give it one",
       [](Patient& p) {
         auto& w = *p.engine().add_warnings();
         w.set_subject("announcing");
         w.set_text("no address");
         w.set_remedy("give it one");
       }},
      {kProblem, "privileges", "wouldn't have CAP_PERFMON", "--cap-add=CAP_PERFMON",
       [](Patient& p) {
         p.host.engine.reset();
         p.host.root = true;
         p.host.bounding = ~(1ULL << CAP_PERFMON);
       }},
      {kHint, "port eth0", "generic mode", "another NIC",
       [](Patient& p) {
         auto& w = *p.engine().add_warnings();
         w.set_subject("port eth0");
         w.set_text("runs XDP in generic mode");
         w.set_remedy("another NIC");
       }},
      {kProblem, "port eth0", "nothing is at its other end", "see to its other end",
       [](Patient& p) { p.lose_link("its interface has no carrier", "see to its other end"); }},
      {kProblem, "port net_memif0", "no link", "its other end",
       [](Patient& p) {
         auto& memif = *p.engine().add_ports();
         memif.set_name("net_memif0");
         memif.set_kind("net_memif");
       }},
      {kHint, "encapsulation", "net_memif0 has an MTU of 1400", "other end",
       [](Patient& p) {  // what the host has no route to leaves by the first such port
         p.set_mode(v1::FORWARDING_MODE_DSR_IPIP);
         p.add_port("net_memif0", "net_memif");
         p.engine().mutable_ports(1)->set_mtu(1'400);
         p.host.egress.clear();
       }},
  };
  for (const Ill& ill : by_a_sentence) find_alone(ill, false);
}

TEST_CASE("doctor: what looks wrong and isn't", "[doctor]") {
  const std::vector<std::function<void(Patient&)>> all{
      [](Patient& p) {  // it sees to that by itself
        p.eth0().driver = "virtio_net";
        p.eth0().features["rx-gro-hw"] = true;
      },
      [](Patient& p) {  // a NIC does what is left to it
        p.eth0().features["tx-checksum-ip-generic"] = true;
        p.eth0().features["tx-tcp-segmentation"] = true;
      },
      [](Patient& p) {  // it was so when the engine began
        p.eth0().driver = "veth";
        p.eth0().features["tx-checksum-ip-generic"] = false;
        auto& w = *p.engine().add_warnings();
        w.set_subject("port eth0");
        w.set_remedy("ethtool -K eth0 tx off tso off gso off");
      },
      [](Patient& p) {  // there is room on the way to the backends, though not on that to the clients
        p.set_mode(v1::FORWARDING_MODE_DSR_GUE);
        p.add_port("eth1", "af_xdp");
        p.host.egress.begin()->second = {"eth1", 1'600, ""};
      },
      [](Patient& p) {  // nothing is put around these packets; another service has the mode
        auto& other = *p.services.add_services();
        other.set_vip("192.0.2.11");
        other.set_mode(v1::FORWARDING_MODE_DSR_IPIP);
      },
      [](Patient& p) {  // what the host has no route to doesn't leave by eth0, and the other one has room
        p.set_mode(v1::FORWARDING_MODE_DSR_IPIP);
        p.add_port("net_ring0", "net_ring");
        p.host.egress.clear();
      },
      [](Patient& p) {  // nor without such a port
        p.set_mode(v1::FORWARDING_MODE_DSR_GUE);
        p.host.egress.clear();
      },
      [](Patient& p) {  // it leaves by no port
        p.set_mode(v1::FORWARDING_MODE_DSR_GUE);
        p.host.egress.begin()->second.interface = "eth9";
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
  p.host.root = true;
  p.host.bounding = ~0ULL;
  const std::string text = show(p.examine(), {});
  INFO(text);
  CHECK(
      text.starts_with("problem   daemon: guidewayd can't be reached: is it running?\n"
                       "          → systemctl start guidewayd\n"));
  for (const Finding& f : p.examine()) CHECK((f.severity == Severity::kFine || can_be_pasted(f.remedy)));
  CHECK(text.find("hint      bpffs: ") != std::string::npos);
  CHECK(text.find("hint      hugepages: 0 of 512 pages of 2 MB are free") != std::string::npos);
  CHECK(text.find("→ echo 1536 >/sys") != std::string::npos);
  p.trouble.clear();
  p.status.mutable_engine()->set_trouble("no socket");
  CHECK(show(p.examine(), {}).starts_with("problem   engine: guidewayd isn't connected to it: no socket\n"));
}

TEST_CASE("doctor: a daemon that can't be asked has the remedy of why it can't", "[doctor]") {
  struct Away {
    std::string trouble;
    bool runs;
    std::string text;
    std::string remedy;
  };
  const std::string denied = "x.sock: Permission denied";
  const std::string absent = "x.sock: No such file or directory";
  const std::string refused = "x.sock: Connection refused";
  const std::string group = "sudo usermod -aG guideway alice && newgrp guideway";
  const std::string start = "systemctl start guidewayd";
  const std::string where = "ps -o args -C guidewayd";
  const auto away = GENERATE_COPY(values<Away>({{denied, true, denied, group},
                                                {denied, false, denied, group},
                                                {absent, false, absent, start},
                                                {absent, true, "--server must be as its --listen", where},
                                                {refused, false, refused, start},
                                                {refused, true, "--server must be as its --listen", where},
                                                {"it hung up", true, "log", "journalctl -n 20 -u guidewayd"}}));
  Patient p;
  p.status = {};
  p.services = {};
  p.trouble = away.trouble;
  p.host.daemon = away.runs;
  p.host.user = "alice";
  const Finding f = p.examine().front();
  INFO(f.text);
  CHECK(f.severity == Severity::kProblem);
  CHECK(f.subject == "daemon");
  CHECK(f.text.find(away.text) != std::string::npos);
  CHECK(f.remedy == away.remedy);
  CHECK(can_be_pasted(f.remedy));
}

TEST_CASE("doctor: with only the daemon down nothing is said of what an engine would need", "[doctor]") {
  Patient p;
  p.status = {};
  p.services = {};
  p.trouble = "guidewayd can't be reached: is it running?";
  p.host.bpffs = false;
  p.host.hugepages_2mb_free = 0;
  const auto findings = p.examine();
  INFO(show(findings, {}));
  CHECK(std::ranges::count_if(findings, [](const Finding& f) { return f.severity != Severity::kFine; }) == 1);
  CHECK(findings.front().subject == "daemon");
}

TEST_CASE("doctor: findings as JSON", "[doctor]") {
  const std::string json = to_json({{Severity::kHint, "a \"b\"", "text", "remedy"}, {}});
  INFO(json);
  CHECK(json.find("\n   \"severity\": \"hint\",\n   \"subject\": \"a \\\"b\\\"\",\n   \"text\": \"text\",\n") !=
        std::string::npos);
  CHECK(json.find("\"severity\": \"fine\"") != std::string::npos);
}

}  // namespace
}  // namespace guideway::mgmt
