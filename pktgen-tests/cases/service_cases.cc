// What a service asks for beyond its mode: which clients it is for, and all ports of its address.
#include "pktgen-tests/cases/case.h"

namespace guideway::cases {

namespace {

Frame client(uint8_t flags = net::kTcpSyn) { return Frame().ip("10.0.0.99", kVip).tcp(40'000, 80, flags); }
Frame client6() { return Frame().ip("2001:db8:0::99", kVip6).tcp(40'000, 80).syn(); }
Frame to_real(Frame f) { return f.ethernet(kPort1Mac, real_mac(10)); }

// On both VIPs, for `ranges`, or for all others if `deny`.
std::function<void(Rig&)> ranged(std::vector<std::string_view> ranges, bool deny = false, Mode mode = Mode::kDsrL2) {
  return [=](Rig& rig) {
    rig.gateway(snat(20'000, 20'000));
    for (const auto& [vip, real] : {std::pair{kVip, "10.0.1.10"}, std::pair{kVip6, "2001:db8:1::10"}}) {
      auto s = service(vip, 80, Protocol::kTcp, mode, {real});
      for (const std::string_view r : ranges) s.source_ranges.push_back(rig::prefix(r));
      s.source_ranges_deny = deny;
      rig.service(s);
    }
  };
}

// All ports of TCP, and a service of its own for one of them.
void any_port(Rig& rig, Mode mode) {
  rig.gateway(snat(20'000, 20'000));
  rig.service(service(kVip, 0, Protocol::kTcp, mode, {"10.0.1.10"}));
  rig.service(service(kVip6, 0, Protocol::kTcp, mode, {"2001:db8:1::10"}));
  rig.service(service(kVip, 443, Protocol::kTcp, mode, {"10.0.1.11"}));
}
void any_port_l2(Rig& rig) { any_port(rig, Mode::kDsrL2); }
void any_port_nat(Rig& rig) { any_port(rig, Mode::kNat); }

}  // namespace

std::vector<Case> service_cases() {
  return {
      {.description = "source ranges: a client within",
       .configure = ranged({"10.9.0.0/16", "10.0.0.96/27"}),
       .in = client(),
       .out = to_real(client())},
      {.description = "source ranges: a client of the other family's isn't within",
       .configure = ranged({"10.0.0.0/8"}),
       .in = client6(),
       .reason = DropReason::SOURCE_DENIED},
      {.description = "source ranges: a client within, IPv6",
       .configure = ranged({"2001:db8::/64", "10.9.0.0/16"}),
       .in = client6(),
       .out = to_real(client6())},
      {.description = "source ranges: a client beside",
       .configure = ranged({"10.0.0.0/27", "10.0.0.128/25"}),
       .in = client(),
       .reason = DropReason::SOURCE_DENIED},
      {.description = "source ranges: also in the middle of a connection",
       .configure = ranged({"10.0.0.0/27"}),
       .in = client(net::kTcpAck),
       .reason = DropReason::SOURCE_DENIED},
      {.description = "source ranges, deny: a client within",
       .configure = ranged({"10.0.0.0/24"}, true),
       .in = client(),
       .reason = DropReason::SOURCE_DENIED},
      {.description = "source ranges, deny: a client within, IPv6",
       .configure = ranged({"2001:db8:0::99/128"}, true),
       .in = client6(),
       .reason = DropReason::SOURCE_DENIED},
      {.description = "source ranges, deny: a client beside",
       .configure = ranged({"10.0.1.0/24"}, true),
       .in = client(),
       .out = to_real(client())},
      {.description = "source ranges, nat: judged by the client's own address",
       .configure = ranged({"10.0.1.0/24"}, false, Mode::kNat),
       .in = client(),
       .reason = DropReason::SOURCE_DENIED},
      {.description = "any port: one that no other service has",
       .configure = any_port_l2,
       .in = client(),
       .out = to_real(client())},
      {.description = "any port: over IPv6", .configure = any_port_l2, .in = client6(), .out = to_real(client6())},
      {.description = "any port: one that another service has",
       .configure = any_port_l2,
       .in = Frame().ip("10.0.0.99", kVip).tcp(40'000, 443).syn(),
       .out = Frame().ip("10.0.0.99", kVip).tcp(40'000, 443).syn().ethernet(kPort1Mac, real_mac(11))},
      {.description = "any port: of TCP, not of UDP",
       .configure = any_port_l2,
       .in = Frame().ip("10.0.0.99", kVip).udp(40'000, 80),
       .reason = DropReason::NO_VIP},
      {.description = "any port, nat: the port stays",
       .configure = any_port_nat,
       .in = client(),
       .out = to_real(Frame().ip("10.0.1.200", "10.0.1.10").tcp(20'000, 80).syn().ttl(63))},
      {.description = "any port, nat: the answer comes from it",
       .configure = any_port_nat,
       .before = {client()},
       .in = Frame().ethernet(real_mac(10), kPort1Mac).ip("10.0.1.10", "10.0.1.200").tcp(80, 20'000, 0x12),
       .out = Frame().ip(kVip, "10.0.0.99").tcp(80, 40'000, 0x12).ttl(63).ethernet(kPort0Mac, kClientMac),
       .out_port = 0,
       .in_port = 1},
  };
}

}  // namespace guideway::cases
