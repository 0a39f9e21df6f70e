// Pieces put together again are what was cut; senders are told at most as often as the limit says.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <random>

#include "net/checksum.h"
#include "pktgen-tests/cases/case.h"

namespace guideway::cases {
namespace {

constexpr size_t kEthernet = 14;

net::Ipv4Header header_of(const rig::Bytes& packet) {
  net::Ipv4Header h;
  std::memcpy(&h, packet.data(), sizeof h);
  return h;
}

// As RFC 791 puts an IP packet together, from pieces in order, each of which is checked.
rig::Bytes reassemble(const std::vector<rig::Bytes>& pieces, size_t largest) {
  rig::Bytes whole;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const rig::Bytes& p = pieces[i];
    const net::Ipv4Header h = header_of(p);
    const size_t length = h.header_length();
    REQUIRE(p.size() <= largest);
    REQUIRE(h.total_length.host() == p.size());
    REQUIRE(net::ipv4_header_error(reinterpret_cast<const net::Ipv4Header*>(p.data()), length) == 0);
    if (i == 0) whole.assign(p.begin(), p.begin() + static_cast<ptrdiff_t>(length));
    REQUIRE((h.fragment.host() & 0x1fff) * 8U == whole.size() - length);
    REQUIRE(((h.fragment.host() & 0x2000) != 0) == (i + 1 < pieces.size()));
    if (i + 1 < pieces.size()) REQUIRE((p.size() - length) % 8 == 0);
    whole.insert(whole.end(), p.begin() + static_cast<ptrdiff_t>(length), p.end());
  }
  net::Ipv4Header h = header_of(whole);
  h.total_length = net::Be16{static_cast<uint16_t>(whole.size())};
  h.fragment = {};
  h.checksum = {};
  std::memcpy(whole.data(), &h, sizeof h);
  const auto sum = net::ipv4_header_error(reinterpret_cast<const net::Ipv4Header*>(whole.data()), h.header_length());
  std::memcpy(whole.data() + 10, &sum, sizeof sum);
  return whole;
}

// The IP packets, without what encapsulation put around them.
std::vector<rig::Bytes> inside(const std::vector<rig::Sent>& sent, size_t around, size_t mtu) {
  std::vector<rig::Bytes> all;
  for (const auto& s : sent) {
    REQUIRE(s.port == 1);
    REQUIRE(s.bytes.size() - kEthernet <= mtu);
    all.emplace_back(s.bytes.begin() + static_cast<ptrdiff_t>(kEthernet + around), s.bytes.end());
  }
  return all;
}

struct Way {
  Mode mode;
  const char* real;
  size_t around;
};

TEST_CASE("pieces make up what was cut", "[cases][fit]") {
  std::mt19937 random(1);
  for (const Way way : {Way{Mode::kDsrL2, "10.0.1.10", 0}, Way{Mode::kDsrIpip, "10.0.1.10", 20},
                        Way{Mode::kDsrIpip, "2001:db8:1::10", 40}, Way{Mode::kDsrGue, "10.0.1.10", 28},
                        Way{Mode::kDsrGue, "2001:db8:1::10", 48}, Way{Mode::kNat, "10.0.1.10", 0}}) {
    Rig rig;
    network(rig);
    rig.gateway(snat());
    rig.service(service("192.0.2.10", 80, Protocol::kUdp, way.mode, {way.real}));
    for (int n = 0; n < 200; ++n) {
      const size_t mtu = 200 + random() % 1'500;
      const size_t payload = 100 + random() % 2'000;
      Frame f = Frame().ip("10.0.0.99", "192.0.2.10").udp(40'000, 80).payload(payload);
      if (random() % 3 == 0) f.options(4 * (random() % 10 + 1));
      rig.mtu(1, 4'000);
      const auto whole = rig.send(f.bytes());
      rig.mtu(1, static_cast<uint32_t>(mtu));
      const auto pieces = rig.send(f.bytes());
      INFO("mode " << static_cast<int>(way.mode) << " mtu " << mtu << " payload " << payload);
      REQUIRE(whole.size() == 1);
      REQUIRE(!pieces.empty());
      REQUIRE(net::to_string(rig.dropped()) == "none");
      REQUIRE((pieces.size() > 1) == (whole[0].bytes.size() - kEthernet > mtu));
      REQUIRE(reassemble(inside(pieces, way.around, mtu), mtu - way.around) == inside(whole, way.around, 4'000)[0]);
    }
  }
}

// RFC 791, 3.1: record route (7) isn't copied, a strict route (137) is.
TEST_CASE("options without the copied bit stand in the first piece alone", "[cases][fit]") {
  Rig rig;
  network(rig);
  rig.mtu(1, 600);
  rig.service(service("192.0.2.10", 80, Protocol::kUdp, Mode::kDsrL2, {"10.0.1.10"}));
  rig::Bytes in = Frame().ip("10.0.0.99", "192.0.2.10").udp(40'000, 80).options(12).payload(900).bytes();
  const rig::Bytes options{7, 7, 4, 1, 2, 3, 4, 137, 3, 4, 0, 0};
  std::ranges::copy(options, in.begin() + 34);
  std::memset(&in.at(24), 0, 2);
  const auto sum = net::ipv4_header_error(reinterpret_cast<const net::Ipv4Header*>(&in.at(14)), 32);
  std::memcpy(&in.at(24), &sum, 2);
  const auto sent = rig.send(in);
  REQUIRE(sent.size() == 2);
  CHECK(rig::Bytes(sent[0].bytes.begin() + 34, sent[0].bytes.begin() + 46) == options);
  CHECK(rig::Bytes(sent[1].bytes.begin() + 34, sent[1].bytes.begin() + 46) ==
        rig::Bytes{1, 1, 1, 1, 1, 1, 1, 137, 3, 4, 0, 0});
}

// A whole burst of the largest packets, each in several pieces; all buffers come back.
TEST_CASE("a burst is cut as a whole", "[cases][fit]") {
  Rig rig;
  network(rig);
  rig.mtu(1, 700);
  rig.service(service("192.0.2.10", 80, Protocol::kUdp, Mode::kDsrIpip, {"10.0.1.10"}));
  const unsigned before = rte_mempool_avail_count(rig.pool());
  for (unsigned i = 0; i < path::kBurst; ++i)
    rig.enqueue(Frame().ip("10.0.0.99", "192.0.2.10").udp(40'000, 80).payload(2'200).bytes());
  CHECK(rig.run().size() == 4 * path::kBurst);
  CHECK(rte_mempool_avail_count(rig.pool()) == before);
}

TEST_CASE("senders are told as often as the limit allows", "[cases][fit]") {
  Rig rig;
  network(rig);
  control::GatewaySpec g;
  g.icmp_rate = 100;
  rig.gateway(g);
  rig.service(service("192.0.2.10", 80, Protocol::kUdp, Mode::kDsrIpip, {"10.0.1.10"}));
  const rig::Bytes large =
      Frame().ip("10.0.0.99", "192.0.2.10").udp(40'000, 80).fragment(0x4000).payload(1'472).bytes();
  const auto told = [&](int packets) {
    size_t n = 0;
    for (int i = 0; i < packets; ++i) n += rig.send(large).size();
    return n;
  };
  told(100);  // what is left from before the limit
  rig.pass(1);
  CHECK(told(100) == 5);  // a twentieth of a second's worth
  for (int millisecond = 0; millisecond < 30; ++millisecond) rig.workers()[0].housekeep(rig.now());
  CHECK(told(100) == 3);
  CHECK(rig.drops(DropReason::MTU_EXCEEDED) == 300);
}

}  // namespace
}  // namespace guideway::cases
