// Direct server return: dsr-ipip (4in4, 6in6) and dsr-l2, and what a real's state does to a packet.
#include "pktgen-tests/cases/case.h"

namespace guideway::cases {

namespace {

Frame client(uint8_t flags = net::kTcpSyn) { return Frame().ip("10.0.0.99", kVip).tcp(40'000, 80, flags); }
Frame client6() { return Frame().ip("2001:db8:0::99", kVip6).tcp(40'000, 80).syn(); }
Frame query() { return Frame().ip("10.0.0.99", kVip).udp(5'353, 53).payload(30); }

void one(Rig& rig) { rig.service(service(kVip, 80, Protocol::kTcp, Mode::kDsrIpip, {"10.0.1.10"})); }
void one6(Rig& rig) { rig.service(service(kVip6, 80, Protocol::kTcp, Mode::kDsrIpip, {"2001:db8:1::10"})); }
void l2(Rig& rig) { rig.service(service(kVip, 80, Protocol::kTcp, Mode::kDsrL2, {"10.0.1.10"})); }
void l2_6(Rig& rig) { rig.service(service(kVip6, 80, Protocol::kTcp, Mode::kDsrL2, {"2001:db8:1::10"})); }
void dns(Rig& rig) { rig.service(service(kVip, 53, Protocol::kUdp, Mode::kDsrIpip, {"10.0.1.10"})); }
// As BGP daemons have it: the kernel prefers an address of lo. The route comes after the service.
void preferring(Rig& rig, Mode mode) {
  rig.service(service(kVip, 80, Protocol::kTcp, mode, {"10.0.1.10"}));
  rig.route("10.0.1.0/24", {{1, "::"}}, "10.77.0.1");  // on the link
}
Frame from_preferred() { return Frame().ip("10.77.0.1", kVip).tcp(40'000, 80).syn(); }
void nobody(Rig& rig) { rig.service(service(kVip, 80, Protocol::kTcp, Mode::kDsrIpip, {})); }

Frame to_real(Frame f, unsigned n = 10) {
  return f.ethernet(kPort1Mac, real_mac(n)).encapsulated("10.0.1.1", "10.0.1." + std::to_string(n));
}

Frame to_real6(Frame f) {
  const uint32_t label = static_cast<uint32_t>(flow_hash(f)) & 0xfffff;
  return f.ethernet(kPort1Mac, real_mac(10)).encapsulated("2001:db8:1::1", "2001:db8:1::10").flow_label(label);
}

}  // namespace

std::vector<Case> dsr_cases() {
  return {
      {.description = "4in4: a SYN goes to the real", .configure = one, .in = client(), .out = to_real(client())},
      {.description = "4in4: TTL and bytes inside stay, TOS is copied out",
       .configure = one,
       .in = client().ttl(1).tos(0xb8).payload(100),
       .out = to_real(client().ttl(1).tos(0xb8).payload(100))},
      {.description = "4in4: a packet in the middle of an unknown connection follows Maglev",
       .configure = one,
       .in = client(net::kTcpAck).payload(10),
       .out = to_real(client(net::kTcpAck).payload(10))},
      {.description = "4in4: UDP", .configure = dns, .in = query(), .out = to_real(query())},
      {.description = "4in4: from the configured source",
       .configure =
           [](Rig& rig) {
             control::GatewaySpec g;
             g.encap_source4 = net::prefix_of(*net::parse_ip("10.0.1.77"), 32);
             rig.gateway(g);
             one(rig);
           },
       .in = client(),
       .out = client().ethernet(kPort1Mac, real_mac(10)).encapsulated("10.0.1.77", "10.0.1.10")},
      {.description = "6in6: a SYN goes to the real", .configure = one6, .in = client6(), .out = to_real6(client6())},
      {.description = "6in6: traffic class is copied out",
       .configure = one6,
       .in = client6().tos(0x2e).payload(11),
       .out = to_real6(client6().tos(0x2e).payload(11))},
      {.description = "4in4 through a router",
       .configure = [](Rig& rig) { rig.service(service(kVip, 80, Protocol::kTcp, Mode::kDsrIpip, {"10.9.0.7"})); },
       .in = client(),
       .out = client().ethernet(kPort1Mac, kRouterMac).encapsulated("10.0.1.1", "10.9.0.7")},
      {.description = "dsr-l2: only the MACs change",
       .configure = l2,
       .in = client().ttl(3),
       .out = client().ttl(3).ethernet(kPort1Mac, real_mac(10))},
      {.description = "dsr-l2 over IPv6",
       .configure = l2_6,
       .in = client6(),
       .out = client6().ethernet(kPort1Mac, real_mac(10))},
      {.description = "dsr-l2: IPv6 extension headers pass",
       .configure = l2_6,
       .in = client6().extension(43, 24).extension(60),
       .out = client6().extension(43, 24).extension(60).ethernet(kPort1Mac, real_mac(10))},
      {.description = "dsr-l2 to a real behind a router can't be",
       .configure = [](Rig& rig) { rig.service(service(kVip, 80, Protocol::kTcp, Mode::kDsrL2, {"10.9.0.7"})); },
       .in = client(),
       .reason = DropReason::NOT_ON_LINK},
      {.description = "dsr-l2: what the real itself sent back is a loop",
       .configure = l2,
       .in = client().ethernet(real_mac(10), kPort0Mac),
       .reason = DropReason::LOOP},
      {.description = "from our own encapsulation source: a loop",
       .configure =
           [](Rig& rig) {
             control::GatewaySpec g;
             g.encap_source4 = net::prefix_of(*net::parse_ip("10.0.1.77"), 32);
             rig.gateway(g);
             one(rig);
           },
       .in = Frame().ip("10.0.1.77", kVip).tcp(40'000, 80).syn(),
       .reason = DropReason::LOOP},
      {.description = "from the port's address, which the kernel chooses to encapsulate from: a loop",
       .configure = one,
       .in = Frame().ip("10.0.1.1", kVip).tcp(40'000, 80).syn(),
       .reason = DropReason::LOOP},
      {.description = "from the source that the route prefers, which isn't a port's: a loop",
       .configure = [](Rig& rig) { preferring(rig, Mode::kDsrIpip); },
       .in = from_preferred(),
       .reason = DropReason::LOOP},
      {.description = "what the route prefers, where nothing is encapsulated: a client as others",
       .configure = [](Rig& rig) { preferring(rig, Mode::kDsrL2); },
       .in = from_preferred(),
       .out = from_preferred().ethernet(kPort1Mac, real_mac(10))},
      {.description = "a service without a backend",
       .configure = nobody,
       .in = client(),
       .reason = DropReason::NO_BACKEND},
      {.description = "a service that has no backend any more: its connections keep theirs",
       .configure =
           [](Rig& rig) {
             one(rig);
             rig.send(client().bytes());
             nobody(rig);
           },
       .in = client(net::kTcpAck),
       .out = to_real(client(net::kTcpAck))},
      {.description = "one whose only backend is drained has none for new flows",
       .configure =
           [](Rig& rig) {
             auto s = service(kVip, 80, Protocol::kTcp, Mode::kDsrIpip, {"10.0.1.10"});
             s.reals[0].weight = 0;
             rig.service(s);
           },
       .in = client(),
       .reason = DropReason::NO_BACKEND},
      {.description = "one whose only backend terminates and still serves uses it",
       .configure =
           [](Rig& rig) {
             auto s = service(kVip, 80, Protocol::kTcp, Mode::kDsrIpip, {"10.0.1.10"});
             s.reals[0].terminating = true;
             rig.service(s);
           },
       .in = client(),
       .out = to_real(client())},
      {.description = "no address to encapsulate from, for the host has none",
       .configure =
           [](Rig& rig) {
             rig.no_addresses(0);
             rig.no_addresses(1);
             rig.service(service(kVip, 80, Protocol::kTcp, Mode::kDsrIpip, {"10.9.0.7"}));
           },
       .in = client(),
       .reason = DropReason::NO_ENCAP_SOURCE},
      {.description = "no room in the buffer for an outer header",
       .configure = one6,
       .in = client6(),
       .reason = DropReason::NO_HEADROOM,
       .headroom = 39},
      {.description = "just enough room for one",
       .configure = one6,
       .in = client6(),
       .out = to_real6(client6()),
       .headroom = 40},
  };
}

}  // namespace guideway::cases
