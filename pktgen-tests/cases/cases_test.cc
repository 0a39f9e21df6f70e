// Runs the table of packet cases through the real pipeline.
#include <catch2/catch.hpp>

#include <set>

#include "pktgen-tests/cases/case.h"

namespace guideway::cases {
namespace {

void run(const Case& c) {
  Rig rig;
  network(rig);
  c.configure(rig);
  for (const Frame& f : c.before) rig.send(f.bytes());
  const auto sent = rig.send(c.raw.empty() ? c.in.bytes() : c.raw, c.in_port, 0, c.headroom);
  CHECK(net::to_string(rig.dropped()) == net::to_string(c.reason));
  std::vector<rig::Bytes> out;
  if (c.out) out.push_back(c.out->bytes());
  if (!c.raw_out.empty()) out.push_back(c.raw_out);
  for (const Frame& f : c.more) out.push_back(f.bytes());
  REQUIRE(sent.size() == out.size());
  for (size_t i = 0; i < out.size(); ++i) {
    CHECK(sent[i].port == c.out_port);
    CHECK(rig::describe(sent[i].bytes) == rig::describe(out[i]));
    CHECK(sent[i].bytes == out[i]);
  }
}

TEST_CASE("packet cases", "[cases]") {
  for (const Case& c : all_cases()) {
    INFO(c.description);
    run(c);
  }
}

TEST_CASE("pressures", "[cases]") {
  for (const Pressure& p : pressures()) {
    INFO(p.description);
    CHECK(p.drops() > 0);
  }
}

TEST_CASE("every drop reason has a case", "[cases]") {
  std::set<net::DropReason> covered{
      net::DropReason::NONE,
      net::DropReason::NO_SOCKET,    // counted by XDP: xdp/steer_test.cc
      net::DropReason::RX_FULL,      // counted by the kernel: netns/counters_test.sh
      net::DropReason::SOURCE_RATE,  // likewise: xdp/steer_test.cc
      net::DropReason::VIP_RATE,
      net::DropReason::SOURCE_FILTERED,  // counted by XDP: xdp/steer_test.cc, kernel_test.cc
  };
  for (const Case& c : all_cases()) covered.insert(c.reason);
  for (const Pressure& p : pressures()) covered.insert(p.reason);
  for (size_t i = 0; i < net::kDropReasons; ++i) {
    INFO(net::kDropReasonTexts[i].name);
    CHECK(covered.contains(static_cast<net::DropReason>(i)));
  }
}

// By how much both checksums of an ICMP error, its own and the quoted packet's, are off the right ones.
std::pair<int, int> off_by(const rig::Bytes& wrong, const rig::Bytes& right) {
  const auto word = [](const rig::Bytes& b, size_t at) { return b.at(at) << 8 | b.at(at + 1); };
  const auto off = [&](size_t at) { return (word(wrong, at) - word(right, at) + 65'535) % 65'535; };
  return {off(14 + 20 + 2), off(14 + 20 + 8 + 20 + 16)};
}

TEST_CASE("nat of an ICMP error leaves wrong checksums as wrong as they are", "[cases]") {
  Rig rig;
  network(rig);
  rig.gateway(snat());
  rig.service(service("192.0.2.10", 80, net::Protocol::kTcp, path::Mode::kNat, {"10.0.1.10"}));
  rig.send(Frame().ip("10.0.0.99", "192.0.2.10").tcp(40'000, 80).syn().bytes());
  const auto error = [](bool inner, bool outer) {
    Frame quoted = Frame().ip("192.0.2.10", "10.0.0.99").tcp(80, 40'000).payload(20);
    if (inner) quoted.wrong_l4_checksum();
    Frame f = Frame().ip("198.51.100.7", "192.0.2.10").icmp_error(3, 4, quoted);
    return (outer ? f.wrong_l4_checksum() : f).bytes();
  };
  const auto right = rig.send(error(false, false));
  for (const auto& [inner, outer] : {std::pair{true, false}, {false, true}, {true, true}}) {
    const auto wrong = rig.send(error(inner, outer));
    REQUIRE(wrong.size() == 1);
    CHECK(off_by(wrong[0].bytes, right[0].bytes) == off_by(error(inner, outer), error(false, false)));
  }
}

// Truncated at every byte, with the bytes behind it still there: a read past the end would be believed.
TEST_CASE("a packet cut short anywhere is dropped", "[cases]") {
  Rig rig;
  network(rig);
  for (const char* vip : {"192.0.2.10", "2001:db8:ff::10"})
    rig.service(
        service(vip, 80, net::Protocol::kTcp, path::Mode::kDsrIpip, {vip[0] == '1' ? "10.0.1.10" : "2001:db8:1::10"}));
  for (const Frame& f : {Frame().ip("10.0.0.99", "192.0.2.10").tcp(40'000, 80).syn(),
                         Frame().ip("2001:db8:0::99", "2001:db8:ff::10").tcp(40'000, 80).syn()}) {
    const rig::Bytes whole = f.bytes();
    for (size_t n = 0; n < whole.size(); ++n) {
      INFO(n);
      CHECK(rig.send(rig::Bytes(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(n))).empty());
      CHECK(rig.dropped() == net::DropReason::TRUNCATED);
    }
    CHECK(rig.send(whole).size() == 1);
  }
}

}  // namespace
}  // namespace guideway::cases
