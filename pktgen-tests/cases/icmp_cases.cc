// ICMP: errors go to the backend of the flow that they quote, echo requests to VIPs are answered.
#include <algorithm>

#include "pktgen-tests/cases/case.h"

namespace guideway::cases {

namespace {

constexpr const char* kHop = "198.51.100.7";  // a router on the client's way
constexpr const char* kHop6 = "2001:db8:77::7";
constexpr uint16_t kPort = 20'000;

void serve(Rig& rig, Mode mode) {
  rig.gateway(snat(kPort, kPort));
  const uint16_t port = mode == Mode::kNat ? 8080 : 80;
  rig.service(service(kVip, 80, Protocol::kTcp, mode, {"10.0.1.10"}, port));
  rig.service(service(kVip6, 80, Protocol::kTcp, mode, {"2001:db8:1::10"}, port));
  rig.service(service(kVip, 53, Protocol::kUdp, mode, {"10.0.1.10"}));
  const uint16_t sctp_port = mode == Mode::kNat ? 3869 : 3868;
  rig.service(service(kVip, 3868, Protocol::kSctp, mode, {"10.0.1.10"}, sctp_port));
  rig.service(service(kVip6, 3868, Protocol::kSctp, mode, {"2001:db8:1::10"}, sctp_port));
}
void ipip(Rig& rig) { serve(rig, Mode::kDsrIpip); }
void l2(Rig& rig) { serve(rig, Mode::kDsrL2); }
void nat(Rig& rig) { serve(rig, Mode::kNat); }

Frame syn() { return Frame().ip("10.0.0.99", kVip).tcp(40'000, 80).syn(); }
Frame syn6() { return Frame().ip("2001:db8:0::99", kVip6).tcp(40'000, 80).syn(); }
Frame query() { return Frame().ip("10.0.0.99", kVip).udp(5'353, 53).payload(30); }
Frame init() { return Frame().ip("10.0.0.99", kVip).sctp(40'000, 3868, net::kSctpInit).payload(16); }
Frame init6() { return Frame().ip("2001:db8:0::99", kVip6).sctp(40'000, 3868, net::kSctpInit).payload(16); }

// What the VIP has sent to the client, as it is quoted.
Frame to_client() { return Frame().ip(kVip, "10.0.0.99").tcp(80, 40'000).payload(100); }
Frame to_client6() { return Frame().ip(kVip6, "2001:db8:0::99").tcp(80, 40'000).payload(100); }
Frame udp_to_client() { return Frame().ip(kVip, "10.0.0.99").udp(53, 5'353).payload(40); }
Frame sctp_to_client() { return Frame().ip(kVip, "10.0.0.99").sctp(3868, 40'000, net::kSctpData).payload(100); }
Frame sctp_to_client6() { return Frame().ip(kVip6, "2001:db8:0::99").sctp(3868, 40'000, net::kSctpData).payload(100); }
// The same before it was translated: what the real has sent to us.
Frame by_real() { return Frame().ip("10.0.1.10", "10.0.1.200").tcp(8080, kPort).payload(100); }
Frame by_real6() { return Frame().ip("2001:db8:1::10", "2001:db8:1::200").tcp(8080, kPort).payload(100); }
Frame udp_by_real() { return Frame().ip("10.0.1.10", "10.0.1.200").udp(53, kPort).payload(40); }
Frame sctp_by_real() { return Frame().ip("10.0.1.10", "10.0.1.200").sctp(3869, kPort, net::kSctpData).payload(100); }
Frame sctp_by_real6() {
  return Frame().ip("2001:db8:1::10", "2001:db8:1::200").sctp(3869, kPort, net::kSctpData).payload(100);
}
// SCTP's CRC32c can't follow in a packet that may be quoted in part: it stays what it was in `before`.
rig::Bytes with_crc_of(const Frame& before, const Frame& quoted) {
  const rig::Bytes old = before.bytes();
  rig::Bytes b = quoted.bytes();
  const size_t at = b.size() - 100 - sizeof(net::SctpChunk) - 4;
  std::copy_n(old.begin() + static_cast<ptrdiff_t>(at), 4, b.begin() + static_cast<ptrdiff_t>(at));
  return b;
}

// Fragmentation needed, with the MTU of the next hop; packet too big.
Frame too_big(const Frame& quoted, size_t bytes = 28) {
  return Frame().ip(kHop, kVip).icmp_error(3, 4, quoted, bytes, 1'400);
}
Frame too_big6(const Frame& quoted, size_t bytes = 48) {
  return Frame().ip(kHop6, kVip6).icmp_error(2, 0, quoted, bytes, 1'400);
}

Frame encapsulated(Frame f, const char* source = "10.0.1.1", const char* real = "10.0.1.10") {
  return f.ethernet(kPort1Mac, real_mac(10)).encapsulated(source, real);
}

// The outer IPv6 header carries the quoted flow's hash.
Frame encapsulated6(Frame f) {
  net::FlowKey6 key{*net::parse_ip("2001:db8:0::99"), *net::parse_ip(kVip6), net::Be16{40'000}, net::Be16{80}, 6};
  return encapsulated(f, "2001:db8:1::1", "2001:db8:1::10")
      .flow_label(static_cast<uint32_t>(net::flow_hash(key, 0)) & 0xfffff);
}

// As the real sees an error that came from outside, and the client one that came from inside.
Frame at_real() { return Frame().ethernet(kPort1Mac, real_mac(10)).ip("10.0.1.200", "10.0.1.10").ttl(63); }
Frame at_real6() { return Frame().ethernet(kPort1Mac, real_mac(10)).ip("2001:db8:1::200", "2001:db8:1::10").ttl(63); }
Frame at_client() { return Frame().ethernet(kPort0Mac, kClientMac).ip(kVip, "10.0.0.99").ttl(63); }
Frame at_client6() { return Frame().ethernet(kPort0Mac, kClientMac).ip(kVip6, "2001:db8:0::99").ttl(63); }

Case lost(const char* description, DropReason why, const Frame& in) {
  return {.description = description, .configure = nat, .before = {syn(), syn6()}, .in = in, .reason = why};
}

void add_dsr(std::vector<Case>& to) {
  to.push_back({.description = "ICMP, 4in4: fragmentation needed goes to the real, though nobody knows the flow",
                .configure = ipip,
                .in = too_big(to_client()),
                .out = encapsulated(too_big(to_client()))});
  to.push_back({.description = "ICMP, 6in6: packet too big goes to the real",
                .configure = ipip,
                .in = too_big6(to_client6()),
                .out = encapsulated6(too_big6(to_client6()))});
  to.push_back({.description = "ICMP, 4in4: a wrong ICMP checksum is the real's to judge",
                .configure = ipip,
                .in = too_big(to_client()).wrong_l4_checksum(),
                .out = encapsulated(too_big(to_client()).wrong_l4_checksum())});
  to.push_back(
      {.description = "ICMP, dsr-l2: port unreachable, all of the packet quoted",
       .configure = l2,
       .in = Frame().ip("10.0.0.99", kVip).icmp_error(3, 3, udp_to_client()),
       .out = Frame().ip("10.0.0.99", kVip).icmp_error(3, 3, udp_to_client()).ethernet(kPort1Mac, real_mac(10))});
  to.push_back({.description = "ICMP, 4in4: of SCTP, the ports and no more quoted",
                .configure = ipip,
                .in = too_big(sctp_to_client(), 24),
                .out = encapsulated(too_big(sctp_to_client(), 24))});
  to.push_back({.description = "ICMPv6, dsr-l2: of SCTP",
                .configure = l2,
                .in = too_big6(sctp_to_client6(), SIZE_MAX),
                .out = too_big6(sctp_to_client6(), SIZE_MAX).ethernet(kPort1Mac, real_mac(10))});
  for (const auto& [type, what] : {std::pair{11, "time exceeded"}, {12, "parameter problem"}}) {
    const Frame in = Frame().ip(kHop, kVip).icmp_error(static_cast<uint8_t>(type), 0, to_client().options(8), 36);
    to.push_back({.description = std::string("ICMP, 4in4, options quoted: ") + what,
                  .configure = ipip,
                  .in = in,
                  .out = encapsulated(in)});
  }
  for (const auto& [type, what] : {std::pair{1, "unreachable"}, {3, "time exceeded"}, {4, "parameter problem"}}) {
    const Frame quoted = to_client6().extension(0).extension(60, 16);
    const Frame in = Frame().ip(kHop6, kVip6).icmp_error(static_cast<uint8_t>(type), 0, quoted, 40 + 24 + 4);
    to.push_back({.description = std::string("ICMPv6, 6in6, extension headers quoted: ") + what,
                  .configure = ipip,
                  .in = in,
                  .out = encapsulated6(in)});
  }
}

void add_nat(std::vector<Case>& to) {
  const auto error = [](Frame outer, const Frame& quoted, size_t bytes) {
    return outer.icmp_error(3, 4, quoted, bytes, 1'400);
  };
  for (const size_t bytes : {size_t{24}, size_t{28}, size_t{35}, size_t{38}, size_t{40}, size_t{55}, SIZE_MAX})
    to.push_back({.description = "ICMP, nat: from outside, quoted bytes " + std::to_string(bytes),
                  .configure = nat,
                  .before = {syn()},
                  .in = too_big(to_client(), bytes),
                  .out = error(at_real(), by_real(), bytes)});
  to.push_back({.description = "ICMP, nat: from outside, of UDP",
                .configure = nat,
                .before = {query()},
                .in = too_big(udp_to_client()),
                .out = error(at_real(), udp_by_real(), 28)});
  to.push_back({.description = "ICMP, nat: of UDP without a checksum",
                .configure = nat,
                .before = {query()},
                .in = too_big(udp_to_client().no_udp_checksum(), SIZE_MAX),
                .out = error(at_real(), udp_by_real().no_udp_checksum(), SIZE_MAX)});
  to.push_back({.description = "ICMP, nat: from outside, of SCTP",
                .configure = nat,
                .before = {init()},
                .in = too_big(sctp_to_client()),
                .out = error(at_real(), sctp_by_real(), 28)});
  to.push_back({.description = "ICMPv6, nat: from outside, of SCTP, all of the packet quoted",
                .configure = nat,
                .before = {init6()},
                .in = too_big6(sctp_to_client6(), SIZE_MAX),
                .out = at_real6().icmp_error(2, 0, with_crc_of(sctp_to_client6(), sctp_by_real6()), SIZE_MAX, 1'400)});
  const Frame sctp_to_real = Frame().ip("10.0.1.200", "10.0.1.10").sctp(kPort, 3869, net::kSctpData).payload(100);
  const Frame sctp_by_client = Frame().ip("10.0.0.99", kVip).sctp(40'000, 3868, net::kSctpData).payload(100);
  to.push_back({.description = "ICMP, nat: from inside, of SCTP, all of the packet quoted",
                .configure = nat,
                .before = {init()},
                .in = Frame().ip("10.0.1.254", "10.0.1.200").icmp_error(3, 2, sctp_to_real),
                .out = at_client().icmp_error(3, 2, with_crc_of(sctp_to_real, sctp_by_client)),
                .out_port = 0,
                .in_port = 1});
  to.push_back({.description = "ICMPv6, nat: from outside",
                .configure = nat,
                .before = {syn6()},
                .in = too_big6(to_client6(), SIZE_MAX),
                .out = at_real6().icmp_error(2, 0, by_real6(), SIZE_MAX, 1'400)});
  to.push_back(
      {.description = "ICMP, nat: from inside, to the client",
       .configure = nat,
       .before = {syn()},
       .in = Frame()
                 .ip("10.0.1.254", "10.0.1.200")
                 .icmp_error(3, 4, Frame().ip("10.0.1.200", "10.0.1.10").tcp(kPort, 8080).payload(60), 48, 1'400),
       .out = at_client().icmp_error(3, 4, Frame().ip("10.0.0.99", kVip).tcp(40'000, 80).payload(60), 48, 1'400),
       .out_port = 0,
       .in_port = 1});
  to.push_back(
      {.description = "ICMPv6, nat: from inside, to the client",
       .configure = nat,
       .before = {syn6()},
       .in = Frame()
                 .ip("2001:db8:1::fe", "2001:db8:1::200")
                 .icmp_error(1, 4, Frame().ip("2001:db8:1::200", "2001:db8:1::10").tcp(kPort, 8080).payload(61)),
       .out = at_client6().icmp_error(1, 4, Frame().ip("2001:db8:0::99", kVip6).tcp(40'000, 80).payload(61)),
       .out_port = 0,
       .in_port = 1});
}

void add_drops(std::vector<Case>& to) {
  to.push_back(lost("ICMP, nat: of a flow that nobody knows", DropReason::NO_CONNECTION,
                    too_big(Frame().ip(kVip, "10.0.0.99").tcp(80, 40'001))));
  to.push_back(lost("ICMP, nat: of a UDP flow that nobody knows", DropReason::NO_CONNECTION, too_big(udp_to_client())));
  to.push_back(lost("ICMP quoting less than the ports", DropReason::TRUNCATED, too_big(to_client(), 23)));
  to.push_back(lost("ICMP quoting less than an IP header", DropReason::TRUNCATED, too_big(to_client(), 19)));
  to.push_back(lost("ICMPv6 quoting less than the ports", DropReason::TRUNCATED, too_big6(to_client6(), 43)));
  to.push_back(lost("ICMP quoting a later fragment", DropReason::FRAGMENT, too_big(to_client().fragment(0x2001))));
  to.push_back(
      lost("ICMPv6 quoting a later fragment", DropReason::FRAGMENT, too_big6(to_client6().piece(7, 8, 64), SIZE_MAX)));
  to.push_back(lost("ICMP quoting what somebody else has sent", DropReason::BAD_ICMP,
                    too_big(Frame().ip("192.0.2.11", "10.0.0.99").tcp(80, 40'000))));
  to.push_back(lost("ICMP quoting a protocol without flows", DropReason::ICMP_UNSUPPORTED,
                    too_big(Frame().ip(kVip, "10.0.0.99").echo(true))));
  to.push_back(lost("an ICMP redirect", DropReason::ICMP_UNSUPPORTED, Frame().ip(kHop, kVip).icmp_error(5, 1, syn())));
  to.push_back(lost("an ICMP error of a port that is no VIP", DropReason::NO_VIP,
                    too_big(Frame().ip(kVip, "10.0.0.99").tcp(81, 40'000))));
  to.push_back(lost("an echo request to an SNAT address", DropReason::ICMP_UNSUPPORTED,
                    Frame().ip("10.0.0.99", "10.0.1.200").echo()));
  to.push_back(lost("an echo reply to a VIP", DropReason::ICMP_UNSUPPORTED, Frame().ip("10.0.0.99", kVip).echo(true)));
  to.push_back(lost("an echo request with a wrong checksum", DropReason::BAD_ICMP,
                    Frame().ip("10.0.0.99", kVip).echo().wrong_l4_checksum()));
}

void add_echo(std::vector<Case>& to) {
  const auto reply = [](const char* vip, const char* client) {
    return Frame().ip(vip, client).echo(true).payload(57).ethernet(kPort0Mac, kClientMac);
  };
  to.push_back({.description = "an echo request to a VIP is answered",
                .configure = ipip,
                .in = Frame().ip("10.0.0.99", kVip).echo().payload(57).ttl(3),
                .out = reply(kVip, "10.0.0.99"),
                .out_port = 0});
  to.push_back({.description = "an echo request to a VIP without a backend is answered, options too",
                .configure = [](Rig& rig) { rig.service(service(kVip, 80, Protocol::kTcp, Mode::kNat, {})); },
                .in = Frame().ip("10.0.0.99", kVip).echo().payload(57).options(8),
                .out = reply(kVip, "10.0.0.99").options(8),
                .out_port = 0});
  to.push_back({.description = "an ICMPv6 echo request to a VIP is answered",
                .configure = nat,
                .in = Frame().ip("2001:db8:0::99", kVip6).echo().payload(57).ttl(3),
                .out = reply(kVip6, "2001:db8:0::99"),
                .out_port = 0});
}

}  // namespace

std::vector<Case> icmp_cases() {
  std::vector<Case> all;
  add_dsr(all);
  add_nat(all);
  add_drops(all);
  add_echo(all);
  return all;
}

}  // namespace guideway::cases
