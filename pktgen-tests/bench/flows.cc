#include "pktgen-tests/bench/flows.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <random>

#include "net/checksum.h"

namespace guideway::bench {

namespace {

constexpr unsigned kReals = 100;
constexpr const char* kVip4 = "192.0.2.10";
constexpr const char* kVip6 = "2001:db8:ff::10";

const char* mode_name(const Scenario& s) {
  switch (s.mode) {
    case path::Mode::kDsrL2:
      return "dsr-l2";
    case path::Mode::kDsrIpip:
      return "dsr-ipip";
    case path::Mode::kDsrGue:
      return "dsr-gue";
    case path::Mode::kNat:
      return s.reply ? "nat-reply" : "nat";
  }
  return "?";
}

std::string real_address(bool v4, unsigned n) {
  return v4 ? "10.0.1." + std::to_string(100 + n) : "2001:db8:1::" + std::to_string(100 + n);
}

// Clients of many networks behind a router, each with some ports.
std::string client_address(bool v4, uint32_t n) {
  char text[40];
  if (v4)
    std::snprintf(text, sizeof text, "11.%u.%u.%u", n >> 16 & 255, n >> 8 & 255, n & 255);
  else
    std::snprintf(text, sizeof text, "2001:db8:c:%x::%x", n >> 8 & 0xffff, (n & 255) + 1);
  return text;
}

}  // namespace

std::string Scenario::name() const {
  return std::string("lb ") + mode_name(*this) + (tcp ? " tcp" : " udp") + (v4 ? "4" : "6") +
         (mixed ? (v4 ? "in6 " : "in4 ") : " ") + std::to_string(size) + "B flows=" + std::to_string(flows);
}

std::vector<Header> client_headers(const Scenario& s) {
  std::vector<Header> headers(s.flows);
  const size_t ip = s.v4 ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header);
  const size_t l4 = s.tcp ? sizeof(net::TcpHeader) : sizeof(net::UdpHeader);
  const size_t payload = s.size > 14 + ip + l4 ? s.size - 14 - ip - l4 : 0;
  for (uint32_t i = 0; i < s.flows; ++i) {
    rig::Frame f;
    f.ip(client_address(s.v4, i / 4), s.v4 ? kVip4 : kVip6);
    const auto port = static_cast<uint16_t>(1'024 + (i * 40'503U) % 60'000);
    s.tcp ? f.tcp(port, 80) : f.udp(port, 80);
    const rig::Bytes b = f.payload(payload).bytes();
    std::memcpy(headers[i].data(), b.data(), std::min(b.size(), sizeof(Header)));
  }
  std::shuffle(headers.begin(), headers.end(), std::mt19937(1));
  return headers;
}

Header reply_to(const uint8_t* forwarded, bool v4) {
  Header h;
  std::memcpy(h.data(), forwarded, sizeof h);
  const size_t address = v4 ? 4 : 16;
  uint8_t* source = h.data() + 14 + (v4 ? 12 : 8);
  std::swap_ranges(source, source + address, source + address);
  uint8_t* ports = h.data() + 14 + (v4 ? 20 : 40);
  std::swap_ranges(ports, ports + 2, ports + 2);
  return h;
}

void configure(rig::Rig& rig, const Scenario& s) {
  const char* router = "02:00:00:00:00:c1";
  rig.neighbor(0, "10.0.0.254", router);
  rig.neighbor(0, "2001:db8:0::fe", router);
  rig.route("11.0.0.0/8", {{0, "10.0.0.254"}});
  rig.route("2001:db8:c::/48", {{0, "2001:db8:0::fe"}});
  control::ServiceSpec service{.name = "bench",
                               .vip = {net::parse_ip(s.v4 ? kVip4 : kVip6).value(), net::Be16{80},
                                       static_cast<uint8_t>(s.tcp ? net::Protocol::kTcp : net::Protocol::kUdp), 0},
                               .mode = s.mode,
                               .table_size = lb::kDefaultTableSize,
                               .reals = {}};
  for (unsigned n = 0; n < kReals; ++n) {
    char mac[18];
    std::snprintf(mac, sizeof mac, "02:00:00:00:02:%02x", n);
    rig.neighbor(1, real_address(s.reals_v4(), n), mac);
    service.reals.push_back({net::parse_ip(real_address(s.reals_v4(), n)).value(), 80, 1, false});
  }
  control::GatewaySpec g;
  g.snat = {{net::parse_ip("10.0.1.200").value(), 1'024, 65'535},
            {net::parse_ip("2001:db8:1::200").value(), 1'024, 65'535}};
  g.dedicated = {true, true};
  // The flood guard lets so many pass at once (a twentieth of this) that all flows are learned, some of them twice.
  g.new_flow_rate = std::max(g.new_flow_rate, 40 * s.flows);
  rig.gateway(g);
  rig.pass(0);
  rig.service(service);
}

}  // namespace guideway::bench
