// Packets that are too large for where they go: their senders are told, or they are cut.
#include "pktgen-tests/cases/case.h"

namespace guideway::cases {

namespace {

constexpr uint16_t kDontFragment = 0x4000;
constexpr uint16_t kPort = 20'000;

Frame client(size_t payload) {
  return Frame().ip("10.0.0.99", kVip).tcp(40'000, 80).fragment(kDontFragment).payload(payload);
}
Frame client6(size_t payload) { return Frame().ip("2001:db8:0::99", kVip6).tcp(40'000, 80).payload(payload); }
Frame syn(bool v4) { return (v4 ? client(0) : client6(0)).syn(); }

// RFC 1191 and RFC 8201: as much of the packet as 576 and 1,280 bytes hold.
Frame too_big(const Frame& quoted, bool v4, uint32_t mtu) {
  if (v4) return Frame().ip(kVip, "10.0.0.99").tos(0xc0).fragment(kDontFragment).icmp_error(3, 4, quoted, 548, mtu);
  return Frame().ip(kVip6, "2001:db8:0::99").icmp_error(2, 0, quoted, 1'232, mtu);
}
Frame to_client(Frame f) { return f.ethernet(kPort0Mac, kClientMac); }

auto one(Mode mode, bool v4, bool outer_v4, uint16_t mtu = 0) {
  return [=](Rig& rig) {
    auto s = service(v4 ? kVip : kVip6, 80, Protocol::kTcp, mode, {outer_v4 ? "10.0.1.10" : "2001:db8:1::10"});
    s.mtu = mtu;
    rig.gateway(snat(kPort, kPort));
    rig.service(s);
  };
}

auto on_links(uint32_t mtu0, uint32_t mtu1, std::function<void(Rig&)> configure) {
  return [=](Rig& rig) {
    rig.mtu(0, mtu0);
    rig.mtu(1, mtu1);
    configure(rig);
  };
}

// A client's packet, a byte too large for what the sender is told.
Case told(std::string description, std::function<void(Rig&)> configure, bool v4, uint32_t mtu,
          std::vector<Frame> before = {}) {
  const Frame in = v4 ? client(mtu - 40 + 1) : client6(mtu - 60 + 1);
  return {.description = std::move(description),
          .configure = std::move(configure),
          .before = std::move(before),
          .in = in,
          .out = to_client(too_big(in, v4, mtu)),
          .out_port = 0,
          .reason = DropReason::MTU_EXCEEDED};
}

Case not_told(std::string description, std::function<void(Rig&)> configure, const Frame& in,
              uint16_t headroom = RTE_PKTMBUF_HEADROOM) {
  return {.description = std::move(description),
          .configure = std::move(configure),
          .in = in,
          .reason = DropReason::MTU_EXCEEDED,
          .headroom = headroom};
}

Frame to_real(Frame f) { return f.ethernet(kPort1Mac, real_mac(10)); }
Frame in_ipip(Frame f) { return to_real(f).encapsulated("10.0.1.1", "10.0.1.10"); }
Frame may_be_cut(size_t payload) { return client(payload).fragment(0); }
Frame translated(size_t payload) {
  return to_real(Frame().ip("10.0.1.200", "10.0.1.10").tcp(kPort, 80).payload(payload).ttl(63));
}

// What a real answers, and what comes to it of the error.
Case real_told(bool v4, uint32_t mtu) {
  const char* real = v4 ? "10.0.1.10" : "2001:db8:1::10";
  const char* snat_address = v4 ? "10.0.1.200" : "2001:db8:1::200";
  const Frame answer = Frame()
                           .ethernet(real_mac(10), kPort1Mac)
                           .ip(real, snat_address)
                           .tcp(80, kPort)
                           .fragment(kDontFragment)
                           .payload(mtu - (v4 ? 40 : 60) + 1);
  Frame error = Frame().ip(snat_address, real);
  if (v4)
    error.tos(0xc0).fragment(kDontFragment).icmp_error(3, 4, answer, 548, mtu);
  else
    error.icmp_error(2, 0, answer, 1'232, mtu);
  return {.description = std::string("nat: a reply too large for the client's link, IPv") + (v4 ? "4" : "6"),
          .configure = on_links(mtu, 1'500, one(Mode::kNat, v4, v4)),
          .before = {syn(v4)},
          .in = answer,
          .out = to_real(error),
          .reason = DropReason::MTU_EXCEEDED,
          .in_port = 1};
}

}  // namespace

std::vector<Case> fit_cases() {
  return {
      told("too large for 4in4", one(Mode::kDsrIpip, true, true), true, 1'480),
      told("too large for 4in6", one(Mode::kDsrIpip, true, false), true, 1'460),
      told("too large for 6in4", one(Mode::kDsrIpip, false, true), false, 1'480),
      told("too large for 6in6", one(Mode::kDsrIpip, false, false), false, 1'460),
      told("too large for 4in4 by GUE", one(Mode::kDsrGue, true, true), true, 1'472),
      told("too large for 4in6 by GUE", one(Mode::kDsrGue, true, false), true, 1'452),
      told("too large for 6in4 by GUE", one(Mode::kDsrGue, false, true), false, 1'472),
      told("too large for 6in6 by GUE", one(Mode::kDsrGue, false, false), false, 1'452),
      told("too large for the service's MTU", one(Mode::kDsrIpip, true, true, 1'400), true, 1'380),
      told("too large for the link, which takes less than the service's MTU says",
           on_links(1'500, 1'300, one(Mode::kDsrIpip, true, true, 1'400)), true, 1'280),
      told("too large for dsr-l2", on_links(1'500, 1'400, one(Mode::kDsrL2, true, true)), true, 1'400),
      told("too large for nat", on_links(1'500, 1'400, one(Mode::kNat, true, true)), true, 1'400, {syn(true)}),
      told("too large for nat over IPv6", on_links(1'500, 1'400, one(Mode::kNat, false, false)), false, 1'400,
           {syn(false)}),
      told("IPv6 is never told less than 1280", on_links(1'500, 1'300, one(Mode::kDsrIpip, false, false)), false,
           1'280),
      real_told(true, 1'400),
      real_told(false, 1'400),
      not_told("IPv6 that can't be smaller isn't told", on_links(1'500, 1'300, one(Mode::kDsrIpip, false, false)),
               client6(1'280 - 60)),
      not_told("too large, and no way back to its sender", one(Mode::kDsrIpip, true, true),
               Frame().ip("203.0.113.1", kVip).tcp(40'000, 80).fragment(kDontFragment).payload(1'441)),
      not_told("too large, and no room in the buffer for an error", one(Mode::kDsrIpip, true, true), client(1'441), 27),
      not_told("too large, and the link is too small for pieces", on_links(1'500, 100, one(Mode::kDsrIpip, true, true)),
               may_be_cut(1'441)),
      {.description = "as large as 4in4 allows",
       .configure = one(Mode::kDsrIpip, true, true),
       .in = client(1'440),
       .out = in_ipip(client(1'440))},
      {.description = "4in4: what may be cut is cut inside",
       .configure = one(Mode::kDsrIpip, true, true),
       .in = may_be_cut(1'441),
       .out = in_ipip(may_be_cut(1'441).piece(0, 0, 1'456)),
       .more = {in_ipip(may_be_cut(1'441).piece(0, 1'456, 8))}},
      {.description = "4in4: cut by the service's MTU",
       .configure = one(Mode::kDsrIpip, true, true, 1'300),
       .in = may_be_cut(2'200).tos(0x20),
       .out = in_ipip(may_be_cut(2'200).tos(0x20).piece(0, 0, 1'256)),
       .more = {in_ipip(may_be_cut(2'200).tos(0x20).piece(0, 1'256, 1'256))}},
      {.description = "nat: what may be cut is translated and cut",
       .configure = on_links(1'500, 1'400, one(Mode::kNat, true, true)),
       .before = {syn(true)},
       .in = may_be_cut(1'361),
       .out = translated(1'361).piece(0, 0, 1'376),
       .more = {translated(1'361).piece(0, 1'376, 1'376)}},
  };
}

}  // namespace guideway::cases
