// GUE's checksum over IPv6, which mostly isn't computed over the payload, against one that is.
#include <catch2/catch.hpp>

#include <cstring>
#include <random>

#include "net/checksum.h"
#include "pktgen-tests/cases/case.h"

namespace guideway::cases {
namespace {

constexpr size_t kOuter = 14;
constexpr size_t kUdp = kOuter + 40;
constexpr size_t kInner = kUdp + 8;

void services(Rig& rig) {
  network(rig);
  for (const char* vip : {kVip, kVip6})
    for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp})
      rig.service(service(vip, 80, protocol, Mode::kDsrGue, {"2001:db8:1::10"}));
}

// Zero if the outer UDP checksum is right (RFC 8200, 8.1).
uint16_t outer_error(const rig::Bytes& f) {
  const size_t length = f.size() - kUdp;
  const uint64_t sum = net::sum_of(&f.at(kOuter + 8), 32) + net::Be16{static_cast<uint16_t>(length)}.wire() +
                       net::Be16{17}.wire() + net::sum_of(&f.at(kUdp), length);
  return static_cast<uint16_t>(~net::fold(sum));
}

TEST_CASE("the outer checksum of GUE is right whatever is inside", "[cases][encap]") {
  Rig rig;
  services(rig);
  std::mt19937 random(1);
  for (int n = 0; n < 3'000; ++n) {
    const bool v4 = random() % 2 == 0;
    Frame f = Frame().ip(v4 ? "10.0.0.99" : "2001:db8:0::99", v4 ? kVip : kVip6);
    const auto port = static_cast<uint16_t>(random() % 60'000 + 1);
    const bool tcp = random() % 2 == 0;
    tcp ? f.tcp(port, 80) : f.udp(port, 80);
    if (!tcp && random() % 3 == 0) f.no_udp_checksum();
    if (v4 && random() % 3 == 0) f.options(4 * (random() % 10 + 1));
    const rig::Bytes in = f.tos(static_cast<uint8_t>(random())).payload(random() % 1'300).bytes();
    const auto sent = rig.send(in);
    INFO(n << " " << rig::describe(in));
    REQUIRE(sent.size() == 1);
    REQUIRE(outer_error(sent[0].bytes) == 0);
    REQUIRE(rig::Bytes(sent[0].bytes.begin() + kInner, sent[0].bytes.end()) == rig::Bytes(in.begin() + 14, in.end()));
  }
}

// It is believed, not computed: the receiver finds the outer one wrong instead of the inner one.
TEST_CASE("a wrong checksum inside is as wrong outside", "[cases][encap]") {
  Rig rig;
  services(rig);
  for (const bool v4 : {true, false}) {
    const Frame f = Frame().ip(v4 ? "10.0.0.99" : "2001:db8:0::99", v4 ? kVip : kVip6).tcp(40'000, 80).payload(50);
    const auto right = rig.send(f.bytes());
    const auto wrong = rig.send(Frame(f).wrong_l4_checksum().bytes());
    REQUIRE(right.size() == 1);
    REQUIRE(wrong.size() == 1);
    CHECK(outer_error(right[0].bytes) == 0);
    CHECK(outer_error(wrong[0].bytes) != 0);
    CHECK(std::memcmp(&right[0].bytes.at(kUdp), &wrong[0].bytes.at(kUdp), 8) == 0);
  }
}

// UDP whose length says less than IP's: what is behind its end isn't covered by its checksum.
TEST_CASE("bytes behind the end of UDP are summed too", "[cases][encap]") {
  Rig rig;
  services(rig);
  rig::Bytes in = Frame().ip("10.0.0.99", kVip).udp(40'000, 80).payload(50).bytes();
  rig::Bytes shorter = Frame().ip("10.0.0.99", kVip).udp(40'000, 80).payload(20).bytes();
  std::copy_n(&shorter.at(34), 8, &in.at(34));  // length and checksum of the shorter one
  const auto sent = rig.send(in);
  REQUIRE(sent.size() == 1);
  CHECK(outer_error(sent[0].bytes) == 0);
}

}  // namespace
}  // namespace guideway::cases
