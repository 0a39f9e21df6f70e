// What control holds of connections that the kernel has begun, when there are more than it holds.
#include "dataplane/control/begun.h"

#include <catch2/catch.hpp>
#include <netinet/in.h>

#include <bit>

#include "dataplane/control/publisher_for_test.h"

namespace guideway::control {
namespace {

net::IpAddress ip(const char* text) { return *net::parse_ip(text); }

net::FlowKey6 connection(uint32_t n, uint8_t protocol) {
  return {.source = net::IpAddress::v4(net::Be32{0x0a000000 + n}),
          .destination = ip("192.0.2.1"),
          .source_port = net::Be16{1'000},
          .destination_port = net::Be16{80},
          .protocol = protocol};
}

struct Ground {
  Ground() {
    for (const uint8_t protocol : {IPPROTO_TCP, IPPROTO_UDP})
      REQUIRE(lone.apply({{.name = std::to_string(protocol),
                           .vip = {ip("192.0.2.1"), net::Be16{80}, protocol, 0},
                           .table_size = 251,
                           .reals = {{ip("10.0.1.10"), 80, 1, false}, {ip("10.0.1.11"), 80, 1, false}}}}) == "");
  }
  void begins(uint32_t first, uint32_t count, uint8_t protocol = IPPROTO_TCP) {
    for (uint32_t n = first; n < first + count; ++n) waiting.push_back(connection(n, protocol));
    begun.take_in();
  }
  // A worker that has one of another real meets it.
  bool holds(uint32_t n) { return !begun.learnt(connection(n, IPPROTO_TCP), path::RealIndex{1'000}); }

  LonePublisher lone;
  const char* real = "10.0.1.10";
  std::vector<net::FlowKey6> waiting;
  Begun begun{*lone.publisher, [this](const xdp::VisitBegun& visit) {
                gw_begun to{};
                to.real = std::bit_cast<gw_address>(ip(real));
                for (const net::FlowKey6& key : waiting) visit(std::bit_cast<gw_flow_key>(key), to);
                waiting.clear();
              }};
};

}  // namespace

TEST_CASE("of too many connections the earlier ones make room") {
  Ground g;
  g.begins(0, GW_MAX_BEGUN);
  g.begins(0, 1);  // anew: the next one is the earliest now
  CHECK(g.begun.size() == GW_MAX_BEGUN);
  g.begins(GW_MAX_BEGUN, 2);
  CHECK(g.begun.size() == GW_MAX_BEGUN);
  for (const uint32_t n : {0U, 3U, GW_MAX_BEGUN + 0U, GW_MAX_BEGUN + 1U}) CHECK(g.holds(n));
  for (const uint32_t n : {1U, 2U}) CHECK_FALSE(g.holds(n));
  CHECK(g.begun.take_untold().size() == GW_MAX_BEGUN);
  CHECK(g.begun.take_untold().empty());
}

TEST_CASE("what would be forgotten first makes room before the others") {
  Ground g;
  g.begins(0, 1);
  g.begins(0, GW_MAX_BEGUN, IPPROTO_UDP);
  CHECK(g.begun.size() == GW_MAX_BEGUN);
  CHECK(g.holds(0));
}

TEST_CASE("what begins anew with another real, while workers hear of it, they haven't heard of") {
  Ground g;
  g.begins(0, 1);
  const auto telling = g.begun.take_untold();
  REQUIRE(telling.size() == 1);
  g.real = "10.0.1.11";
  g.begins(0, 1);
  g.begun.told(telling);
  CHECK_FALSE(g.begun.learnt(connection(0, IPPROTO_TCP), telling[0].real));
  const auto anew = g.begun.take_untold();
  REQUIRE(anew.size() == 1);
  g.begun.told(anew);
  CHECK(g.begun.learnt(connection(0, IPPROTO_TCP), anew[0].real));
}

}  // namespace guideway::control
