// SCTP: by its ports like the others, its chunks open and close, and CRC32c follows the ports.
#include "pktgen-tests/cases/case.h"

namespace guideway::cases {

namespace {

constexpr uint16_t kPort = 20'000;

void serve(Rig& rig, Mode mode) {
  rig.gateway(snat(kPort, kPort));
  const uint16_t port = mode == Mode::kNat ? 3869 : 3868;
  rig.service(service(kVip, 3868, Protocol::kSctp, mode, {"10.0.1.10"}, port));
  rig.service(service(kVip6, 3868, Protocol::kSctp, mode, {"2001:db8:1::10"}, port));
}
void ipip(Rig& rig) { serve(rig, Mode::kDsrIpip); }
void l2(Rig& rig) { serve(rig, Mode::kDsrL2); }
void nat(Rig& rig) { serve(rig, Mode::kNat); }

Frame client(uint8_t chunk = net::kSctpInit, size_t value = 16) {
  return Frame().ip("10.0.0.99", kVip).sctp(40'000, 3868, chunk).payload(value);
}
Frame client6(uint8_t chunk = net::kSctpInit, size_t value = 16) {
  return Frame().ip("2001:db8:0::99", kVip6).sctp(40'000, 3868, chunk).payload(value);
}
Frame at_real(uint8_t chunk = net::kSctpInit, size_t value = 16) {
  return Frame()
      .ip("10.0.1.200", "10.0.1.10")
      .sctp(kPort, 3869, chunk)
      .payload(value)
      .ttl(63)
      .ethernet(kPort1Mac, real_mac(10));
}
Frame encapsulated(Frame f) { return f.ethernet(kPort1Mac, real_mac(10)).encapsulated("10.0.1.1", "10.0.1.10"); }

rig::Bytes without_chunk() {
  rig::Bytes b = Frame().ip("2001:db8:0::99", kVip6).protocol(47).payload(15).bytes();
  b.at(14 + 6) = static_cast<uint8_t>(Protocol::kSctp);
  return b;
}

}  // namespace

std::vector<Case> sctp_cases() {
  std::vector<Case> all{
      {.description = "SCTP, 4in4",
       .configure = ipip,
       .in = client(net::kSctpData, 33),
       .out = encapsulated(client(net::kSctpData, 33))},
      {.description = "SCTP, dsr-l2 over IPv6",
       .configure = l2,
       .in = client6(),
       .out = client6().ethernet(kPort1Mac, real_mac(10))},
      {.description = "SCTP, 4in4: a first fragment",
       .configure = ipip,
       .in = client(net::kSctpInit, 64).piece(7, 0, 40),
       .out = encapsulated(client(net::kSctpInit, 64).piece(7, 0, 40))},
      {.description = "SCTP, 4in4: the fragment after it",
       .configure = ipip,
       .before = {client(net::kSctpInit, 64).piece(7, 0, 40)},
       .in = client(net::kSctpInit, 64).piece(7, 40, 40),
       .out = encapsulated(client(net::kSctpInit, 64).piece(7, 40, 40))},
      {.description = "SCTP, dsr-l2 over IPv6: a later fragment before the first",
       .configure = l2,
       .before = {client6(net::kSctpData, 64).piece(7, 40, 40)},
       .in = client6(net::kSctpData, 64).piece(7, 0, 40),
       .out = client6(net::kSctpData, 64).piece(7, 0, 40).ethernet(kPort1Mac, real_mac(10)),
       .more = {client6(net::kSctpData, 64).piece(7, 40, 40).ethernet(kPort1Mac, real_mac(10))}},
      {.description = "SCTP, nat over IPv6",
       .configure = nat,
       .in = client6(),
       .out = Frame()
                  .ip("2001:db8:1::200", "2001:db8:1::10")
                  .sctp(kPort, 3869, net::kSctpInit)
                  .payload(16)
                  .ttl(63)
                  .ethernet(kPort1Mac, real_mac(10))},
      {.description = "SCTP, nat: the answer",
       .configure = nat,
       .before = {client()},
       .in = Frame().ethernet(real_mac(10), kPort1Mac).ip("10.0.1.10", "10.0.1.200").sctp(3869, kPort, 2).payload(60),
       .out = Frame().ip(kVip, "10.0.0.99").sctp(3868, 40'000, 2).payload(60).ttl(63).ethernet(kPort0Mac, kClientMac),
       .out_port = 0,
       .in_port = 1},
      {.description = "SCTP, nat: a wrong checksum stays wrong",
       .configure = nat,
       .in = client().wrong_l4_checksum(),
       .out = at_real().wrong_l4_checksum()},
      {.description = "SCTP, nat: data of an unknown association",
       .configure = nat,
       .in = client(net::kSctpData),
       .reason = DropReason::NO_CONNECTION},
      {.description = "SCTP, nat: a fragment",
       .configure = nat,
       .in = client(net::kSctpInit, 64).piece(7, 0, 40),
       .reason = DropReason::FRAGMENT},
      {.description = "SCTP to a port that is no VIP",
       .configure = nat,
       .in = Frame().ip("10.0.0.99", kVip).sctp(40'000, 3870, net::kSctpInit),
       .reason = DropReason::NO_VIP},
      {.description = "SCTP without a chunk",
       .configure = nat,
       .reason = DropReason::TRUNCATED,
       .raw = without_chunk()},
  };
  for (const size_t value : {size_t{0}, size_t{4}, size_t{9}, size_t{64}, size_t{1'001}})
    all.push_back({.description = "SCTP, nat: a chunk of " + std::to_string(value),
                   .configure = nat,
                   .in = client(net::kSctpInit, value),
                   .out = at_real(net::kSctpInit, value)});
  for (const auto& [chunk, seconds, what] : {std::tuple{net::kSctpAbort, 5U, "ABORT"},
                                             {net::kSctpShutdownComplete, 5U, "SHUTDOWN COMPLETE"},
                                             {net::kSctpShutdown, 60U, "SHUTDOWN"},
                                             {net::kSctpShutdownAck, 60U, "SHUTDOWN ACK"}}) {
    const auto ended = [seconds = seconds, chunk = chunk](unsigned less) {
      return [=](Rig& rig) {
        nat(rig);
        rig.send(client().bytes());
        rig.send(client(10).bytes());  // COOKIE ECHO
        rig.send(client(chunk).bytes());
        rig.pass(seconds - less);
      };
    };
    all.push_back({.description = std::string("SCTP, nat: kept for a while after ") + what,
                   .configure = ended(1),
                   .in = client(net::kSctpData),
                   .out = at_real(net::kSctpData)});
    all.push_back({.description = std::string("SCTP, nat: forgotten after ") + what,
                   .configure = ended(0),
                   .in = client(net::kSctpData),
                   .reason = DropReason::NO_CONNECTION});
  }
  return all;
}

}  // namespace guideway::cases
