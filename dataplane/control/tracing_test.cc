#include "dataplane/control/tracing.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace guideway::control {

TEST_CASE("tracing: who names a port that there isn't is told those that there are") {
  std::vector<EnginePort> ports(2);
  ports[0].name = "eth0";
  ports[1].name = "net_ring0";
  const TraceSite site{.ports = ports};
  engine::TraceRequest request;
  request.set_port("eth9");
  const auto answer = Tracing::begin(site, request)->step(Tracing::Clock::now());
  REQUIRE(answer.has_value());
  CHECK(answer->refused().invalid());
  CHECK(answer->refused().why() == "port: the engine has no port eth9; it has eth0, net_ring0");
}

}  // namespace guideway::control
