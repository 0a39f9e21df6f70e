// What the workers count for each real, and how control tells it.
#include <catch2/catch.hpp>

#include <map>
#include <set>

#include "dataplane/control/contract/framing.h"
#include "dataplane/control/service_counters.h"
#include "pktgen-tests/cases/case.h"

namespace guideway::cases {
namespace {

Frame client(uint16_t port, uint8_t flags) { return Frame().ip("10.0.0.99", kVip).tcp(port, 80, flags).payload(60); }

std::vector<engine::ServiceCounters> all_of(Rig& rig) {
  std::vector<engine::ServiceCounters> all;
  control::CountersCursor at;
  for (bool last = false; !last;) {
    const engine::Counters part = control::counters_part(rig.publisher(), rig.tally(), at);
    REQUIRE(part.ByteSizeLong() < control::kMaxMessage);
    last = part.last();
    for (const auto& s : part.services()) {
      if (all.empty() || all.back().service() != s.service())
        all.push_back(s);
      else
        all.back().mutable_reals()->MergeFrom(s.reals());
    }
  }
  return all;
}

uint64_t sum(const google::protobuf::RepeatedField<uint64_t>& of_workers) {
  uint64_t n = 0;
  for (const uint64_t w : of_workers) n += w;
  return n;
}

TEST_CASE("a real's packets, bytes and connections are counted, there and back", "[counters]") {
  for (const Mode mode : {Mode::kDsrIpip, Mode::kNat}) {
    INFO("mode " << static_cast<int>(mode));
    Rig rig({.workers = 2});
    network(rig);
    rig.gateway(snat());
    rig.service(service(kVip, 80, Protocol::kTcp, mode, {"10.0.1.10"}));
    for (uint16_t port = 1; port <= 100; ++port) {
      const auto sent = rig.send(client(port, net::kTcpSyn).bytes(), 0, port % 2);
      rig.send(client(port, net::kTcpAck).bytes(), 0, port % 2);
      if (mode != Mode::kNat) continue;
      const auto& b = sent.at(0).bytes;
      const auto snat_port = static_cast<uint16_t>(b.at(34) << 8 | b.at(35));
      rig.send(Frame().ip("10.0.1.10", "10.0.1.200").tcp(80, snat_port, 0x12).payload(10).bytes(), 1);
    }
    rig.send(client(200, net::kTcpRst).bytes());  // begins no connection; nat drops it
    const auto all = all_of(rig);
    REQUIRE(all.size() == 1);
    REQUIRE(all[0].reals_size() == 1);
    const auto& real = all[0].reals(0);
    const uint64_t alone = mode == Mode::kNat ? 0 : 1;
    CHECK(real.packets_size() == 2);
    CHECK(real.packets(1) > 0);
    CHECK(sum(real.packets()) == 200 + alone);
    CHECK(sum(real.bytes()) == (200 + alone) * 100);
    CHECK(sum(real.reply_packets()) == (mode == Mode::kNat ? 100 : 0));
    CHECK(sum(real.reply_bytes()) == (mode == Mode::kNat ? 5'000 : 0));
    CHECK(sum(real.connections()) == 100);
    CHECK(sum(real.live_connections()) == 100);
    rig.pass(7'440);
    CHECK(sum(all_of(rig)[0].reals(0).live_connections()) == 0);
    CHECK(sum(all_of(rig)[0].reals(0).connections()) == 100);
  }
}

TEST_CASE("a removed real's counts go on in its service's, and not in the row's next real", "[counters]") {
  Rig rig;
  network(rig);
  rig.service(service(kVip, 80, Protocol::kTcp, Mode::kDsrL2, {"10.0.1.10"}));
  rig.send(client(1, net::kTcpSyn).bytes());
  rig.service(service(kVip, 80, Protocol::kTcp, Mode::kDsrL2, {"10.0.1.11"}));
  rig.sweep();
  REQUIRE(all_of(rig)[0].reals_size() == 2);  // a connection still names it
  rig.send(client(1, net::kTcpAck).bytes());
  rig.pass(7'440);
  rig.sweep();
  rig.service(service(kVip, 80, Protocol::kTcp, Mode::kDsrL2, {"10.0.1.12"}));
  rig.sweep();
  rig.send(client(2, net::kTcpSyn).bytes());
  const auto counts = all_of(rig)[0];
  REQUIRE(counts.reals_size() == 1);
  CHECK(sum(counts.reals(0).packets()) == 1);
  CHECK(sum(counts.reals(0).connections()) == 1);
  CHECK(sum(counts.removed().packets()) == 2);
  CHECK(sum(counts.removed().connections()) == 1);
  CHECK(sum(counts.removed().live_connections()) == 0);
}

TEST_CASE("counters come in parts, each service and real once", "[counters]") {
  Rig rig({.workers = 3});
  std::map<std::string, int> reals;
  for (int n = 0; n < 40; ++n) {
    auto s = service("192.0.2." + std::to_string(n), 80, Protocol::kTcp, Mode::kDsrIpip, {});
    for (int r = 0; r < n * n; ++r)
      s.reals.push_back(
          {net::parse_ip("10." + std::to_string(r / 250) + ".9." + std::to_string(r % 250)).value(), 80, 1, false});
    reals[s.name] = n * n;
    rig.service(s);
  }
  const auto all = all_of(rig);
  REQUIRE(all.size() == reals.size());
  for (const auto& s : all) {
    CHECK(s.reals_size() == reals.at(s.service()));
    CHECK(s.removed().packets_size() == 3);
    std::set<std::string> addresses;
    for (const auto& r : s.reals()) addresses.insert(r.address());
    CHECK(static_cast<int>(addresses.size()) == s.reals_size());
  }
}

}  // namespace
}  // namespace guideway::cases
