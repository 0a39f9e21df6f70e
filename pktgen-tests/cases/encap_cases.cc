// Encapsulation: dsr-ipip and dsr-gue, in all four mixes of families, and where their outer addresses come from.
#include <bit>
#include <cstring>

#include "pktgen-tests/cases/case.h"

namespace guideway::cases {

namespace {

Frame client(bool v4) {
  return v4 ? Frame().ip("10.0.0.99", kVip).tcp(40'000, 80).syn()
            : Frame().ip("2001:db8:0::99", kVip6).tcp(40'000, 80).syn();
}

// One real, of this family.
auto one(Mode mode, bool v4, bool outer_v4) {
  return [=](Rig& rig) {
    rig.service(service(v4 ? kVip : kVip6, 80, Protocol::kTcp, mode, {outer_v4 ? "10.0.1.10" : "2001:db8:1::10"}));
  };
}

// What comes to it.
Frame to_real(Frame f, Mode mode, bool outer_v4, std::string_view source = "") {
  const uint64_t hash = flow_hash(f);
  if (source.empty()) source = outer_v4 ? "10.0.1.1" : "2001:db8:1::1";
  const char* real = outer_v4 ? "10.0.1.10" : "2001:db8:1::10";
  f.ethernet(kPort1Mac, real_mac(10));
  if (mode == Mode::kDsrIpip)
    f.encapsulated(source, real);
  else
    f.in_gue(source, real, static_cast<uint16_t>(0xc000 | (hash & 0x3fff)));
  return outer_v4 ? f : f.flow_label(static_cast<uint32_t>(hash) & 0xfffff);
}

control::GatewaySpec from(std::string_view source4, unsigned length4, std::string_view source6, unsigned length6) {
  control::GatewaySpec g;
  g.encap_source4 = net::prefix_of(*net::parse_ip(source4), length4);
  g.encap_source6 = net::prefix_of(*net::parse_ip(source6), length6);
  return g;
}

auto with_prefixes(Mode mode, bool v4, bool outer_v4) {
  return [=](Rig& rig) {
    rig.gateway(from("198.18.0.0", 16, "2001:db8:e::", 48));
    one(mode, v4, outer_v4)(rig);
  };
}

// The configured prefix, and below it the flow hash: its low half goes last.
std::string source_with(uint64_t hash, bool outer_v4) {
  net::IpAddress a = *net::parse_ip(outer_v4 ? "198.18.0.0" : "2001:db8:e::");
  const uint64_t turned = std::rotl(hash, 32);
  const size_t first = outer_v4 ? 14 : 8;
  std::memcpy(&a.bytes[first], reinterpret_cast<const uint8_t*>(&turned) + first - 8, 16 - first);
  return net::to_string(a);
}

std::string name(Mode mode, bool v4, bool outer_v4) {
  return std::string(v4 ? "4in" : "6in") + (outer_v4 ? "4" : "6") + (mode == Mode::kDsrGue ? " by GUE" : "");
}

void append_mix(std::vector<Case>& all, Mode mode, bool v4, bool outer_v4) {
  const auto configure = one(mode, v4, outer_v4);
  const auto add = [&](const char* what, const Frame& in) {
    all.push_back({.description = name(mode, v4, outer_v4) + ": " + what,
                   .configure = configure,
                   .in = in,
                   .out = to_real(in, mode, outer_v4)});
  };
  add("a SYN", client(v4));
  add("TTL and bytes inside stay, TOS is copied out", client(v4).ttl(1).tos(0xb8).payload(101));
  all.push_back({.description = name(mode, v4, outer_v4) + ": without room in the buffer",
                 .configure = configure,
                 .in = client(v4),
                 .reason = DropReason::NO_HEADROOM,
                 .headroom = static_cast<uint16_t>((outer_v4 ? 20 : 40) + (mode == Mode::kDsrGue ? 8 : 0) - 1)});
  const Frame in = client(v4).payload(7);
  const std::string source = mode == Mode::kDsrIpip ? source_with(flow_hash(in), outer_v4)
                             : outer_v4             ? "198.18.0.0"
                                                    : "2001:db8:e::";
  all.push_back({.description = name(mode, v4, outer_v4) + ": from a prefix of sources",
                 .configure = with_prefixes(mode, v4, outer_v4),
                 .in = in,
                 .out = to_real(in, mode, outer_v4, source)});
}

Frame udp(bool v4, size_t payload) {
  return Frame().ip(v4 ? "10.0.0.99" : "2001:db8:0::99", v4 ? kVip : kVip6).udp(5'353, 53).payload(payload);
}

Case udp_by_gue(const char* description, const Frame& in, bool v4) {
  return {.description = description,
          .configure =
              [=](Rig& rig) {
                rig.service(service(v4 ? kVip : kVip6, 53, Protocol::kUdp, Mode::kDsrGue, {"2001:db8:1::10"}));
              },
          .in = in,
          .out = to_real(in, Mode::kDsrGue, false)};
}

Case loop(const char* description, const char* source, bool v4) {
  return {.description = description,
          .configure = with_prefixes(Mode::kDsrIpip, v4, v4),
          .in = Frame().ip(source, v4 ? kVip : kVip6).tcp(40'000, 80).syn(),
          .reason = DropReason::LOOP};
}

}  // namespace

std::vector<Case> encap_cases() {
  std::vector<Case> all;
  for (const Mode mode : {Mode::kDsrIpip, Mode::kDsrGue})
    for (const bool v4 : {true, false})
      for (const bool outer_v4 : {true, false}) append_mix(all, mode, v4, outer_v4);
  all.push_back(udp_by_gue("UDP by GUE over IPv6: its checksum tells the outer one", udp(true, 33), true));
  all.push_back(udp_by_gue("UDP without a checksum by GUE over IPv6", udp(true, 33).no_udp_checksum(), true));
  all.push_back(udp_by_gue("UDP over IPv6 by GUE over IPv6", udp(false, 34), false));
  all.push_back(loop("from the prefix of IPv4 sources: a loop", "198.18.255.1", true));
  all.push_back(loop("from the prefix of IPv6 sources: a loop", "2001:db8:e:1:2:3:4:5", false));
  all.push_back(
      {.description = "from beside the prefix of sources: no loop",
       .configure = with_prefixes(Mode::kDsrGue, true, true),
       .in = Frame().ip("198.19.0.1", kVip).tcp(40'000, 80).syn(),
       .out = to_real(Frame().ip("198.19.0.1", kVip).tcp(40'000, 80).syn(), Mode::kDsrGue, true, "198.18.0.0")});
  return all;
}

}  // namespace guideway::cases
