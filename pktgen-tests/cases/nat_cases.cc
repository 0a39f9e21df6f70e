// nat: destination and source are translated, and back; the SNAT range has one port, so that it can be foretold.
#include "pktgen-tests/cases/case.h"

namespace guideway::cases {

namespace {

constexpr uint16_t kPort = 20'000;

void web(Rig& rig) {
  rig.gateway(snat(kPort, kPort));
  rig.service(service(kVip, 80, Protocol::kTcp, Mode::kNat, {"10.0.1.10"}, 8080));
  rig.service(service(kVip6, 80, Protocol::kTcp, Mode::kNat, {"2001:db8:1::10"}, 8080));
  rig.service(service(kVip, 53, Protocol::kUdp, Mode::kNat, {"10.0.1.10"}));
  rig.service(service(kVip6, 53, Protocol::kUdp, Mode::kNat, {"2001:db8:1::10"}));
}

Frame client(uint8_t flags = net::kTcpSyn) { return Frame().ip("10.0.0.99", kVip).tcp(40'000, 80, flags); }
Frame client6(uint8_t flags = net::kTcpSyn) { return Frame().ip("2001:db8:0::99", kVip6).tcp(40'000, 80, flags); }
Frame query() { return Frame().ip("10.0.0.99", kVip).udp(5'353, 53).payload(30); }
Frame query6() { return Frame().ip("2001:db8:0::99", kVip6).udp(5'353, 53).payload(31); }

// As the real sees it, and as it answers.
Frame at_real(uint8_t flags = net::kTcpSyn) {
  return Frame().ip("10.0.1.200", "10.0.1.10").tcp(kPort, 8080, flags).ttl(63).ethernet(kPort1Mac, real_mac(10));
}
Frame at_real6() {
  return Frame()
      .ip("2001:db8:1::200", "2001:db8:1::10")
      .tcp(kPort, 8080)
      .syn()
      .ttl(63)
      .ethernet(kPort1Mac, real_mac(10));
}
Frame answer(uint8_t flags = net::kTcpSyn | net::kTcpAck) {
  return Frame().ethernet(real_mac(10), kPort1Mac).ip("10.0.1.10", "10.0.1.200").tcp(8080, kPort, flags);
}
Frame at_client(uint8_t flags = net::kTcpSyn | net::kTcpAck) {
  return Frame().ip(kVip, "10.0.0.99").tcp(80, 40'000, flags).ttl(63).ethernet(kPort0Mac, kClientMac);
}
Frame udp_at_real() {
  return Frame().ip("10.0.1.200", "10.0.1.10").udp(kPort, 53).payload(30).ttl(63).ethernet(kPort1Mac, real_mac(10));
}

}  // namespace

std::vector<Case> nat_cases() {
  return {
      {.description = "nat: a SYN, translated at both ends", .configure = web, .in = client(), .out = at_real()},
      {.description = "nat over IPv6", .configure = web, .in = client6(), .out = at_real6()},
      {.description = "nat: the next packet keeps the port",
       .configure = web,
       .before = {client()},
       .in = client(net::kTcpAck).payload(100),
       .out = at_real(net::kTcpAck).payload(100)},
      {.description = "nat: the answer finds its way back",
       .configure = web,
       .before = {client()},
       .in = answer().payload(5),
       .out = at_client().payload(5),
       .out_port = 0,
       .in_port = 1},
      {.description = "nat: the answer over IPv6",
       .configure = web,
       .before = {client6()},
       .in = Frame().ethernet(real_mac(10), kPort1Mac).ip("2001:db8:1::10", "2001:db8:1::200").tcp(8080, kPort, 0x12),
       .out = Frame().ip(kVip6, "2001:db8:0::99").tcp(80, 40'000, 0x12).ttl(63).ethernet(kPort0Mac, kClientMac),
       .out_port = 0,
       .in_port = 1},
      {.description = "nat: UDP", .configure = web, .in = query(), .out = udp_at_real()},
      {.description = "nat: UDP over IPv6",
       .configure = web,
       .in = query6(),
       .out = Frame()
                  .ip("2001:db8:1::200", "2001:db8:1::10")
                  .udp(kPort, 53)
                  .payload(31)
                  .ttl(63)
                  .ethernet(kPort1Mac, real_mac(10))},
      {.description = "nat: UDP without a checksum stays without",
       .configure = web,
       .in = query().no_udp_checksum(),
       .out = udp_at_real().no_udp_checksum()},
      {.description = "nat: IPv4 options pass",
       .configure = web,
       .in = client().options(4),
       .out = at_real().options(4)},
      {.description = "nat: IPv6 extension headers pass",
       .configure = web,
       .in = client6().extension(0).extension(60, 24),
       .out = at_real6().extension(0).extension(60, 24)},
      {.description = "nat: a client may come back after a reset",
       .configure = web,
       .before = {client(), client(net::kTcpRst)},
       .in = client(),
       .out = at_real()},
      {.description = "nat: the middle of an unknown connection",
       .configure = web,
       .in = client(net::kTcpAck),
       .reason = DropReason::NO_CONNECTION},
      {.description = "nat: an answer that nobody asked for",
       .configure = web,
       .in = answer(),
       .reason = DropReason::NO_CONNECTION,
       .in_port = 1},
      {.description = "nat: an answer from another real",
       .configure = web,
       .before = {client()},
       .in = Frame().ip("10.0.1.11", "10.0.1.200").tcp(8080, kPort, 0x12),
       .reason = DropReason::NO_CONNECTION,
       .in_port = 1},
      {.description = "nat: the TTL ends here",
       .configure = web,
       .in = client().ttl(1),
       .reason = DropReason::TTL_EXCEEDED},
      {.description = "nat: the hop limit ends here",
       .configure = web,
       .in = client6().ttl(1),
       .reason = DropReason::TTL_EXCEEDED},
      {.description = "nat without an SNAT address",
       .configure = [](Rig& rig) { rig.service(service(kVip, 80, Protocol::kTcp, Mode::kNat, {"10.0.1.10"})); },
       .in = client(),
       .reason = DropReason::NO_SNAT_ADDRESS},
      {.description = "nat: the one port is taken towards this real",
       .configure = web,
       .before = {client()},
       .in = Frame().ip("10.0.0.99", kVip).tcp(40'001, 80).syn(),
       .reason = DropReason::NO_SNAT_PORT},
      {.description = "nat: the same port serves another real",
       .configure =
           [](Rig& rig) {
             web(rig);
             rig.service(service("192.0.2.11", 80, Protocol::kTcp, Mode::kNat, {"10.0.1.11"}));
           },
       .before = {client()},
       .in = Frame().ip("10.0.0.99", "192.0.2.11").tcp(40'001, 80).syn(),
       .out = Frame().ip("10.0.1.200", "10.0.1.11").tcp(kPort, 80).syn().ttl(63).ethernet(kPort1Mac, real_mac(11))},
      {.description = "nat: from our own SNAT address: a loop",
       .configure = web,
       .in = Frame().ip("10.0.1.200", kVip).tcp(40'000, 80).syn(),
       .reason = DropReason::LOOP},
  };
}

}  // namespace guideway::cases
