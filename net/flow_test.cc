// The flow hash: gateways of one group and of several versions must agree on it.
#include "net/flow.h"

#include <catch2/catch.hpp>

namespace guideway::net {
namespace {

FlowKey4 key4(std::string_view source, std::string_view destination, uint16_t source_port, uint16_t destination_port) {
  return {.source = parse_ip(source).value().as_v4(),
          .destination = parse_ip(destination).value().as_v4(),
          .source_port = Be16{source_port},
          .destination_port = Be16{destination_port},
          .protocol = 6};
}

// Worked out apart, with integers of any size.
TEST_CASE("the flow hash is what it was", "[flow]") {
  const FlowKey4 k4 = key4("203.0.113.7", "192.0.2.10", 40'000, 80);
  const FlowKey6 k6{.source = parse_ip("2001:db8::7").value(),
                    .destination = parse_ip("2001:db8:1::10").value(),
                    .source_port = Be16{40'000},
                    .destination_port = Be16{80},
                    .protocol = 17};
  CHECK(flow_hash(k4, 0) == 0x9cfc51d395458077);
  CHECK(flow_hash(k6, 0) == 0xc5657470c559d9b6);
  CHECK(flow_hash(k4, 0x0123456789abcdef) == 0x0bd36fd2755f8e62);
  CHECK(flow_hash(k6, 0x0123456789abcdef) == 0xca26f753c0c3e1a1);
}

// These addresses' mixes differ just where ports could make up for it.
TEST_CASE("no ports make up for other addresses whatever the seed", "[flow]") {
  const FlowKey4 a = key4("77.32.212.6", "192.0.2.1", 0, 0);
  FlowKey4 b = key4("77.224.37.42", "192.0.2.1", 0, 0);
  b.source_port = Be16::from_wire(0xcffa);
  b.destination_port = Be16::from_wire(0x6ecf);
  REQUIRE(flow_hash(a, 0) == flow_hash(b, 0));  // without a seed they do
  for (const uint64_t seed : {0x0123456789abcdefU, 0xfedcba9876543210U, 0x5555555555555555U})
    CHECK(flow_hash(a, seed) != flow_hash(b, seed));
}

}  // namespace
}  // namespace guideway::net
