// Next hops: the kernel's routes and neighbours decide.
#include "pktgen-tests/cases/case.h"

namespace guideway::cases {

namespace {

Frame client() { return Frame().ip("10.0.0.99", "192.0.2.10").tcp(40'000, 80).syn(); }

auto to(const char* real) {
  return [real](Rig& rig) { rig.service(service("192.0.2.10", 80, Protocol::kTcp, Mode::kDsrIpip, {real})); };
}

constexpr const char* kVlanMac = "02:00:00:00:00:aa";

// VLAN 10 on a port, with a host and a router.
unsigned vlan(Rig& rig, unsigned port = 1) {
  const unsigned link = rig.vlan(port, 10, kVlanMac, 1'300, {{"10.0.10.1", 24}, {"2001:db8:10::1", 64}});
  rig.neighbor(link, "10.0.10.5", real_mac(5));
  rig.neighbor(link, "10.0.10.254", kRouterMac);
  rig.route("10.8.0.0/16", {{link, "10.0.10.254"}});
  return link;
}

auto on_vlan(const char* real) {
  return [real](Rig& rig) {
    vlan(rig);
    to(real)(rig);
  };
}

Frame tagged(Frame f, const std::string& neighbor) { return f.ethernet(kVlanMac, neighbor).vlan(10); }

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
      {.description = "a real on a VLAN of a port",
       .configure = on_vlan("10.0.10.5"),
       .in = client(),
       .out = tagged(client(), real_mac(5)).encapsulated("10.0.10.1", "10.0.10.5")},
      {.description = "a real behind a router on a VLAN",
       .configure = on_vlan("10.8.0.7"),
       .in = client(),
       .out = tagged(client(), kRouterMac).encapsulated("10.0.10.1", "10.8.0.7")},
      {.description = "a real on a VLAN whose MAC address isn't known",
       .configure = on_vlan("10.0.10.6"),
       .in = client(),
       .reason = DropReason::NO_NEIGHBOR},
      {.description = "a VLAN has its own MTU",
       .configure = on_vlan("10.0.10.5"),
       .in = client().payload(1'241),
       .out = tagged(client().payload(1'241).piece(0, 0, 1'256), real_mac(5)).encapsulated("10.0.10.1", "10.0.10.5"),
       .more =
           {tagged(client().payload(1'241).piece(0, 1'256, 8), real_mac(5)).encapsulated("10.0.10.1", "10.0.10.5")}},
      {.description = "from our address on a VLAN: a loop",
       .configure = on_vlan("10.0.10.5"),
       .in = Frame().ip("10.0.10.1", "192.0.2.10").tcp(40'000, 80).syn(),
       .reason = DropReason::LOOP},
      {.description = "a nat reply to a client on a VLAN",
       .configure =
           [](Rig& rig) {
             vlan(rig, 0);
             rig.gateway(snat(20'000, 20'000));
             rig.service(service("192.0.2.10", 80, Protocol::kTcp, Mode::kNat, {"10.0.1.10"}));
           },
       .before = {Frame().ip("10.0.10.5", "192.0.2.10").tcp(40'000, 80).syn()},
       .in = Frame().ip("10.0.1.10", "10.0.1.200").tcp(80, 20'000, 0x12),
       .out = tagged(Frame().ip("192.0.2.10", "10.0.10.5").tcp(80, 40'000, 0x12).ttl(63), real_mac(5)),
       .out_port = 0,
       .in_port = 1},
      {.description = "dsr-l2 to a real on a VLAN, and no room in the buffer for the tag",
       .configure =
           [](Rig& rig) {
             vlan(rig);
             rig.service(service("192.0.2.10", 80, Protocol::kTcp, Mode::kDsrL2, {"10.0.10.5"}));
           },
       .in = client(),
       .reason = DropReason::NO_HEADROOM,
       .headroom = 3},
      {.description = "a VLAN on a VLAN",
       .configure =
           [](Rig& rig) {
             const unsigned inner = rig.vlan(vlan(rig), 11, kVlanMac, 1'300, {{"10.0.11.1", 24}});
             rig.neighbor(inner, "10.0.11.5", real_mac(5));
             to("10.0.11.5")(rig);
           },
       .in = client(),
       .reason = DropReason::FOREIGN_PORT},
  };
}

}  // namespace guideway::cases
