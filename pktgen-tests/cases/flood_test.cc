// A flood of new flows: who is established stays, whatever the table's and the guard's limits.
#include <catch2/catch.hpp>

#include <map>

#include "pktgen-tests/cases/case.h"

namespace guideway::cases {
namespace {

constexpr unsigned kEstablished = 1'000;

Frame client(uint16_t port, uint8_t flags) { return Frame().ip("10.0.0.99", kVip).tcp(port, 80, flags); }

// Unique SYNs, by the hundred thousand.
Frame flood(uint32_t n) {
  const std::string source = "10.9." + std::to_string(n / 50'000) + "." + std::to_string(n / 200 % 250);
  return Frame().ip(source, kVip).tcp(static_cast<uint16_t>(1'000 + n % 200), 80).syn();
}

unsigned real_of(const std::vector<rig::Sent>& sent) { return sent.size() == 1 ? sent[0].bytes.at(5) : 0; }

// With `reals` while they connect, and another one that Maglev would give part of them to afterwards.
void flood(Mode mode, uint32_t rate, unsigned workers) {
  INFO("mode " << static_cast<int>(mode) << ", rate " << rate << ", workers " << workers);
  Rig rig({.workers = workers, .connections = 4'096});
  network(rig);
  auto g = snat();
  g.new_flow_rate = 1'000'000;
  rig.gateway(g);
  rig.service(service(kVip, 80, Protocol::kTcp, mode, {"10.0.1.10", "10.0.1.11"}));
  rig.pass(0);
  std::map<uint16_t, std::vector<rig::Sent>> established;
  for (uint16_t port = 1; port <= kEstablished; ++port) {
    rig.send(client(port, net::kTcpSyn).bytes());
    established[port] = rig.send(client(port, net::kTcpAck).bytes());
    REQUIRE(real_of(established[port]) != 0);
  }
  rig.service(service(kVip, 80, Protocol::kTcp, mode, {"10.0.1.10", "10.0.1.11", "10.0.1.12"}));
  g.new_flow_rate = rate;
  rig.gateway(g);
  unsigned arrived = 0;
  for (uint32_t n = 0; n < 20'000;) {
    for (int i = 0; i < 32; ++i) rig.enqueue(flood(n++).bytes());
    arrived += static_cast<unsigned>(rig.run().size());
    for (unsigned w = 0; w < workers; ++w) rig.workers()[w].housekeep(rig.now());
  }
  // DSR answers them all.
  if (mode != Mode::kNat) CHECK(arrived == 20'000);
  if (mode == Mode::kNat) CHECK(arrived > 5'000);
  for (const auto& [port, before] : established) {
    const auto now = rig.send(client(port, net::kTcpAck).bytes());
    REQUIRE(now.size() == 1);
    REQUIRE(rig::describe(now[0].bytes) == rig::describe(before[0].bytes));
  }
}

TEST_CASE("1,000 established connections under a flood of unique SYNs", "[flood]") {
  for (const Mode mode : {Mode::kDsrIpip, Mode::kNat})
    for (const uint32_t rate : {1'000U, 1'000'000'000U})  // the guard acts; the table is full
      for (const unsigned workers : {1U, 2U}) flood(mode, rate, workers);
}

TEST_CASE("clients of session affinity that a flood has left behind make room", "[flood]") {
  Rig rig({.connections = 1'024});
  network(rig);
  auto g = snat();
  g.new_flow_rate = 1'000'000'000;
  rig.gateway(g);
  auto affine = service(kVip, 80, Protocol::kTcp, Mode::kDsrIpip, {"10.0.1.10", "10.0.1.11"});
  affine.affinity_seconds = 10'800;
  rig.service(affine);
  rig.service(service(kVip, 443, Protocol::kTcp, Mode::kNat, {"10.0.1.10"}));
  rig.pass(0);
  for (uint32_t n = 0; n < 20'000; ++n) {
    const std::string source = "10.9." + std::to_string(n / 250) + "." + std::to_string(n % 250);
    rig.send(Frame().ip(source, kVip).tcp(1'000, 80).syn().bytes());
    if (n % 1'000 == 0) rig.pass(31);
  }
  rig.pass(31);
  CHECK(rig.workers()[0].counters().connections4.read() > 850);  // of clients: no connection is in setup any more
  unsigned opened = 0;
  for (uint16_t port = 1; port <= 100; ++port)
    opened += rig.send(Frame().ip("10.0.0.99", kVip).tcp(port, 443).syn().bytes()).size() == 1;
  CHECK(opened == 100);
}

TEST_CASE("above the guard's rate DSR flows leave no entries", "[flood]") {
  Rig rig;
  network(rig);
  control::GatewaySpec g;
  g.new_flow_rate = 800;  // 40 in a burst
  rig.gateway(g);
  rig.service(service(kVip, 80, Protocol::kTcp, Mode::kDsrL2, {"10.0.1.10"}));
  rig.pass(31);
  for (uint16_t port = 1; port <= 500; ++port) CHECK(real_of(rig.send(client(port, net::kTcpSyn).bytes())) == 10);
  rig.workers()[0].housekeep(rig.now());
  CHECK(rig.workers()[0].counters().connections4.read() == 40);
  // Ten milliseconds bring eight more, also where housekeeping comes late.
  for (int ms = 0; ms < 5; ++ms) rig.workers()[0].housekeep(rig.now());
  rig.workers()[0].housekeep(rig.now(), 5);
  for (uint16_t port = 501; port <= 600; ++port) rig.send(client(port, net::kTcpSyn).bytes());
  rig.workers()[0].housekeep(rig.now(), 0);
  CHECK(rig.workers()[0].counters().connections4.read() == 48);
}

}  // namespace
}  // namespace guideway::cases
