// SNAT ports: every one of the range can be used towards each destination, whichever worker owns it.
#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <set>

#include "dataplane/path/snat_ports.h"
#include "pktgen-tests/cases/case.h"

namespace guideway::cases {
namespace {

using path::SnatPorts;

struct Kind {
  Protocol protocol;
  bool v4;
};
constexpr std::array kKinds{Kind{Protocol::kTcp, true}, Kind{Protocol::kTcp, false}, Kind{Protocol::kUdp, true}};

Frame client(const Kind& k, uint16_t port, uint8_t flags = net::kTcpSyn) {
  Frame f = Frame().ip(k.v4 ? "10.0.0.99" : "2001:db8:0::99", k.v4 ? kVip : kVip6);
  return k.protocol == Protocol::kTcp ? f.tcp(port, 80, flags) : f.udp(port, 80);
}

void configure(Rig& rig, const Kind& k, uint16_t first, uint16_t last) {
  network(rig);
  rig.gateway(snat(first, last));
  rig.service(service(k.v4 ? kVip : kVip6, 80, k.protocol, Mode::kNat, {k.v4 ? "10.0.1.10" : "2001:db8:1::10"}));
}

// The SNAT port that the packet left by; 0: it was dropped.
uint16_t port_of(const std::vector<rig::Sent>& sent, const Kind& k) {
  if (sent.size() != 1) return 0;
  const size_t at = k.v4 ? 34 : 54;
  return static_cast<uint16_t>(sent[0].bytes.at(at) << 8 | sent[0].bytes.at(at + 1));
}

TEST_CASE("100 flows have 100 of 100 ports, whichever worker owns flow and port", "[snat]") {
  for (const Kind& k : kKinds)
    for (const unsigned workers : {1U, 2U, 3U}) {
      INFO("protocol " << static_cast<int>(k.protocol) << ", IPv4 " << k.v4 << ", workers " << workers);
      Rig rig({.workers = workers});
      configure(rig, k, 20'000, 20'099);
      std::map<uint16_t, uint16_t> ports;  // the client's → ours
      for (uint16_t n = 0; n < 100; ++n) {
        ports[n] = port_of(rig.send(client(k, 1'000 + n).bytes(), 0, n % workers), k);
        REQUIRE(ports[n] != 0);
      }
      std::set<uint16_t> different;
      for (const auto& [n, port] : ports) different.insert(port);
      CHECK(different.size() == 100);
      CHECK(*different.begin() == 20'000);
      CHECK(*different.rbegin() == 20'099);

      CHECK(rig.send(client(k, 2'000).bytes()).empty());
      CHECK(net::to_string(rig.dropped()) == net::to_string(DropReason::NO_SNAT_PORT));
      for (unsigned queue = 0; queue < workers; ++queue)
        for (const auto& [n, port] : ports) {
          CHECK(port_of(rig.send(client(k, 1'000 + n, net::kTcpAck).bytes(), 0, queue), k) == port);
          Frame answer = Frame().ip(k.v4 ? "10.0.1.10" : "2001:db8:1::10", k.v4 ? "10.0.1.200" : "2001:db8:1::200");
          answer = k.protocol == Protocol::kTcp ? answer.tcp(80, port, 0x12) : answer.udp(80, port);
          CHECK(rig.send(answer.bytes(), 1, queue).size() == 1);
        }
      // When one ends, its port is another's at once.
      if (k.protocol != Protocol::kTcp) continue;
      rig.send(client(k, 1'042, net::kTcpRst).bytes());
      CHECK(port_of(rig.send(client(k, 2'000).bytes()), k) == ports[42]);
      CHECK(rig.send(client(k, 2'001).bytes()).empty());
      CHECK(rig.send(client(k, 1'042, net::kTcpAck).bytes()).empty());
    }
}

// Each has half of them; a flow's hash says only which it asks first.
TEST_CASE("100 flows have 100 ports of two addresses", "[snat]") {
  for (const Kind& k : kKinds)
    for (const unsigned workers : {1U, 2U, 3U}) {
      INFO("protocol " << static_cast<int>(k.protocol) << ", IPv4 " << k.v4 << ", workers " << workers);
      Rig rig({.workers = workers});
      configure(rig, k, 20'000, 20'049);
      auto g = snat(20'000, 20'049);
      for (const std::string_view second : {"10.0.1.201", "2001:db8:1::201"})
        g.snat.push_back({net::parse_ip(second).value(), 20'000, 20'049});
      rig.gateway(g);
      std::set<std::pair<std::vector<uint8_t>, uint16_t>> sources;
      for (uint16_t n = 0; n < 100; ++n) {
        const auto sent = rig.send(client(k, 1'000 + n).bytes(), 0, n % workers);
        REQUIRE(sent.size() == 1);
        const auto address = sent[0].bytes.begin() + (k.v4 ? 26 : 22);
        sources.insert({{address, address + (k.v4 ? 4 : 16)}, port_of(sent, k)});
      }
      CHECK(sources.size() == 100);
      CHECK(rig.send(client(k, 2'000).bytes()).empty());
      CHECK(net::to_string(rig.dropped()) == net::to_string(DropReason::NO_SNAT_PORT));
    }
}

TEST_CASE("a port is another's once its connection was closed and is quiet", "[snat]") {
  const Kind k{Protocol::kTcp, true};
  Rig rig;
  configure(rig, k, 20'000, 20'000);
  rig.pass(0);
  CHECK(port_of(rig.send(client(k, 1'000).bytes()), k) == 20'000);
  rig.send(client(k, 1'000, net::kTcpFin | net::kTcpAck).bytes());
  CHECK(rig.send(client(k, 2'000).bytes()).empty());
  // What the server still sends is acknowledged.
  rig.pass(4);
  CHECK(port_of(rig.send(client(k, 1'000, net::kTcpAck).bytes()), k) == 20'000);
  rig.pass(4);
  CHECK(rig.send(client(k, 2'000).bytes()).empty());
  rig.pass(1);
  CHECK(port_of(rig.send(client(k, 2'000).bytes()), k) == 20'000);
  CHECK(rig.send(client(k, 1'000, net::kTcpAck).bytes()).empty());
}

TEST_CASE("ports of a large range are used to the last, and again", "[snat]") {
  const Kind k{Protocol::kUdp, true};
  Rig rig({.workers = 2, .connections = 16'384});
  configure(rig, k, 21'111, 24'110);
  for (int round = 0; round < 2; ++round) {
    std::set<uint16_t> ports;
    for (uint16_t n = 0; n < 3'000; ++n) ports.insert(port_of(rig.send(client(k, 1'000 + n).bytes()), k));
    CHECK(ports.size() == 3'000);
    CHECK(!ports.contains(0));
    CHECK(rig.send(client(k, 60'000).bytes()).empty());
    rig.pass(30);
  }
}

// A SnatPorts with memory of its own, and its slow twin: a set of ports for each destination.
TEST_CASE("ports are free or taken as the twin says", "[snat]") {
  for (const unsigned workers : {1U, 3U, 16U}) {
    std::vector<SnatPorts::Row> rows(SnatPorts::kDestinations);
    std::vector<SnatPorts::Index> buckets(SnatPorts::kDestinations);
    std::vector<uint64_t> words(size_t{SnatPorts::kDestinations} * SnatPorts::words_for(workers));
    const unsigned worker = workers / 2;
    SnatPorts ports(worker, workers, {.rows = rows, .buckets = buckets, .words = words});
    std::mt19937_64 random(workers);
    const path::SnatAddress range{net::parse_ip("10.0.1.200").value(), 10'010, 10'700};
    std::set<uint16_t> ours;
    for (uint16_t p = range.port_min; p <= range.port_max; ++p)
      if ((p >> path::kSnatBlockBits) % workers == worker) ours.insert(p);
    std::map<uint16_t, std::pair<SnatPorts::Index, std::set<uint16_t>>> twin;  // by the destination's port
    for (int i = 0; i < 20'000; ++i) {
      const auto n = static_cast<uint16_t>(1 + random() % 4);
      auto& [row, taken] = twin[n];
      if (random() % 1'000 == 0) {
        for (const uint16_t p : taken) ports.give_back(row, p);
        taken.clear();
      } else if (random() % 3 == 0 && !taken.empty()) {
        const auto it = std::next(taken.begin(), static_cast<long>(random() % taken.size()));
        ports.give_back(row, *it);
        taken.erase(it);
      } else {
        row = ports.find({range.address, net::parse_ip("10.0.1.10").value(), net::Be16{n}, 6, 0});
        REQUIRE(row != SnatPorts::kNone);
        const uint16_t port = ports.free_port(row, range, random());
        REQUIRE((port == 0) == (taken.size() == ours.size()));
        if (port == 0) continue;
        REQUIRE(ours.contains(port));
        REQUIRE(taken.insert(port).second);
        ports.take(row, port);
      }
    }
  }
}

TEST_CASE("destinations are given back with their last port", "[snat]") {
  std::vector<SnatPorts::Row> rows(SnatPorts::kDestinations);
  std::vector<SnatPorts::Index> buckets(SnatPorts::kDestinations);
  std::vector<uint64_t> words(size_t{SnatPorts::kDestinations} * SnatPorts::words_for(16));
  SnatPorts ports(0, 16, {.rows = rows, .buckets = buckets, .words = words});
  const auto destination = [](uint32_t n) {
    return path::SnatDestination{{}, net::IpAddress::v4(net::Be32{n}), net::Be16{80}, 6, 0};
  };
  for (int round = 0; round < 2; ++round) {
    std::vector<SnatPorts::Index> taken;
    for (uint32_t n = 0; n < SnatPorts::kDestinations; ++n) {
      taken.push_back(ports.find(destination(n)));
      REQUIRE(taken.back() != SnatPorts::kNone);
      ports.take(taken.back(), 1'024);
    }
    CHECK(ports.find(destination(SnatPorts::kDestinations)) == SnatPorts::kNone);
    CHECK(ports.find(destination(7)) == taken[7]);
    for (const auto i : taken) ports.give_back(i, 1'024);
  }
}

}  // namespace
}  // namespace guideway::cases
