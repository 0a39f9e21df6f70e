// Runs the table of packet cases through the real pipeline.
#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

#include "pktgen-tests/cases/case.h"

namespace guideway::cases {
namespace {

rig::Bytes packet_of(const Case& c) { return c.raw.empty() ? c.in.bytes() : c.raw; }

void prepare(Rig& rig, const Case& c) {
  network(rig);
  c.configure(rig);
  for (const Frame& f : c.before) rig.send(f.bytes());
}

void run(Rig& rig, const Case& c) {
  const auto sent = rig.send(packet_of(c), c.in_port, 0, c.headroom);
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
    Rig rig;
    prepare(rig, c);
    run(rig, c);
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

// Where the packet ends by what its headers say; behind it is padding.
size_t end_of(const rig::Bytes& b) {
  const auto word = [&](size_t at) { return at + 1 < b.size() ? b[at] << 8U | b[at + 1] : 0U; };
  size_t at = 14;
  while (at < 14 + 2 * 4 && (word(at - 2) == 0x8100 || word(at - 2) == 0x88a8)) at += 4;
  switch (word(at - 2)) {
    case 0x0800:
      return at + std::max(word(at + 2), 20U);
    case 0x86dd:
      return at + 40 + word(at + 4);
    case 0x0806:
      return at + 28;
    default:
      return at;
  }
}

// Truncated at every byte, with the bytes behind it still there, for it was a byte longer just before, in the same
// buffer: a read past the end would be believed. The whole packet finds all as if none had come.
TEST_CASE("a packet cut short anywhere is dropped", "[cases]") {
  for (const Case& c : all_cases()) {
    INFO(c.description);
    Rig rig;
    prepare(rig, c);
    const rig::Bytes whole = packet_of(c);
    const size_t end = end_of(whole);
    const size_t leave = (c.out || !c.raw_out.empty() ? 1 : 0) + c.more.size();
    for (rig::Bytes b = whole; !b.empty();) {
      b.pop_back();
      INFO(b.size());
      const size_t sent = rig.send(b, c.in_port, 0, c.headroom).size();
      const net::DropReason why = rig.dropped();
      if (b.size() >= end) {  // only padding is missing
        CHECK(sent == leave);
        CHECK(why == c.reason);
      } else {
        CHECK(sent == 0);
        CHECK((why == net::DropReason::TRUNCATED || (why == c.reason && why == net::DropReason::BAD_IP_HEADER)));
      }
    }
    run(rig, c);
  }
}

}  // namespace
}  // namespace guideway::cases
