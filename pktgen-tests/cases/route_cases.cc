// Next hops: the kernel's routes and neighbours decide.
#include "pktgen-tests/cases/case.h"

namespace guideway::cases {

namespace {

using net::DropReason;
using net::Protocol;
using path::Mode;

Frame client() { return Frame().ip("10.0.0.99", "192.0.2.10").tcp(40'000, 80).syn(); }

auto to(const char* real) {
  return [real](Rig& rig) { rig.service(service("192.0.2.10", 80, Protocol::kTcp, Mode::kDsrIpip, {real})); };
}

}  // namespace

std::vector<Case> route_cases() {
  return {
      {.description = "a real without a route",
       .configure =
           [](Rig& rig) {
             control::GatewaySpec g;
             g.encap_source4 = net::prefix_of(*net::parse_ip("10.0.1.77"), 32);
             rig.gateway(g);
             to("172.31.0.1")(rig);
           },
       .in = client(),
       .reason = DropReason::NO_ROUTE},
      {.description = "a real without a route, which would have told the address to encapsulate from",
       .configure = to("172.31.0.1"),
       .in = client(),
       .reason = DropReason::NO_ROUTE},
      {.description = "a real in a black hole",
       .configure =
           [](Rig& rig) {
             control::GatewaySpec g;
             g.encap_source4 = net::prefix_of(*net::parse_ip("10.0.1.77"), 32);
             rig.gateway(g);
             rig.blackhole("10.9.1.0/24");
             to("10.9.1.1")(rig);
           },
       .in = client(),
       .reason = DropReason::NO_ROUTE},
      {.description = "a real whose MAC address isn't known",
       .configure = to("10.0.1.55"),
       .in = client(),
       .reason = DropReason::NO_NEIGHBOR},
      {.description = "a real whose MAC address has become known",
       .configure =
           [](Rig& rig) {
             to("10.0.1.55")(rig);
             rig.neighbor(1, "10.0.1.55", real_mac(55));
           },
       .in = client(),
       .out = client().ethernet(kPort1Mac, real_mac(55)).encapsulated("10.0.1.1", "10.0.1.55")},
      {.description = "a real whose neighbour has gone",
       .configure =
           [](Rig& rig) {
             to("10.0.1.10")(rig);
             rig.neighbor(1, "10.0.1.10", real_mac(10), false);
           },
       .in = client(),
       .reason = DropReason::NO_NEIGHBOR},
      {.description = "a real behind an interface that isn't the engine's",
       .configure =
           [](Rig& rig) {
             control::GatewaySpec g;
             g.encap_source4 = net::prefix_of(*net::parse_ip("10.0.1.77"), 32);
             rig.gateway(g);
             rig.foreign_link("172.16.0.0/12");
             to("172.16.0.1")(rig);
           },
       .in = client(),
       .reason = DropReason::FOREIGN_PORT},
      {.description = "in and out by the same port",
       .configure =
           [](Rig& rig) {
             rig.neighbor(0, "10.0.0.50", real_mac(50));
             to("10.0.0.50")(rig);
           },
       .in = client(),
       .out = client().ethernet(kPort0Mac, real_mac(50)).encapsulated("10.0.0.1", "10.0.0.50"),
       .out_port = 0},
      {.description = "a route that changed",
       .configure =
           [](Rig& rig) {
             to("10.9.0.7")(rig);
             rig.route("10.9.0.0/24", {{1, "10.0.1.11"}});
           },
       .in = client(),
       .out = client().ethernet(kPort1Mac, real_mac(11)).encapsulated("10.0.1.1", "10.9.0.7")},
  };
}

}  // namespace guideway::cases
