#include "pktgen-tests/cases/case.h"

#include <cstdio>
#include <cstring>
#include <iterator>

namespace guideway::cases {

std::string real_mac(unsigned n) {
  char text[18];
  std::snprintf(text, sizeof text, "02:00:00:00:02:%02x", n);
  return text;
}

void network(Rig& rig) {
  rig.neighbor(0, "10.0.0.99", kClientMac);
  rig.neighbor(0, "2001:db8:0::99", kClientMac);
  for (const unsigned n : {10U, 11U, 12U}) {
    rig.neighbor(1, "10.0.1." + std::to_string(n), real_mac(n));
    rig.neighbor(1, "2001:db8:1::" + std::to_string(n), real_mac(n));
  }
  rig.neighbor(1, "10.0.1.254", kRouterMac);
  rig.neighbor(1, "2001:db8:1::fe", kRouterMac);
  rig.route("10.9.0.0/16", {{1, "10.0.1.254"}});
  rig.route("2001:db8:9::/48", {{1, "2001:db8:1::fe"}});
}

control::ServiceSpec service(std::string_view vip, uint16_t port, net::Protocol protocol, path::Mode mode,
                             std::initializer_list<std::string_view> reals, uint16_t real_port) {
  control::ServiceSpec s{
      .name = std::string(vip) + ":" + std::to_string(port) + "/" + std::to_string(static_cast<int>(protocol)),
      .vip = {net::parse_ip(vip).value(), net::Be16{port}, static_cast<uint8_t>(protocol), 0},
      .mode = mode,
      .table_size = 251,
      .reals = {}};
  for (const std::string_view r : reals)
    s.reals.push_back({net::parse_ip(r).value(), real_port == 0 ? port : real_port, 1, false});
  return s;
}

control::GatewaySpec snat(uint16_t port_min, uint16_t port_max) {
  control::GatewaySpec g;
  for (const char* address : {"10.0.1.200", "2001:db8:1::200"}) {
    g.snat.push_back({net::parse_ip(address).value(), port_min, port_max});
    g.dedicated.push_back(true);
  }
  return g;
}

uint64_t flow_hash(const Frame& frame) {
  const rig::Bytes b = frame.bytes();
  if (b.at(14) >> 4 == 4) {
    net::FlowKey4 key;
    std::memcpy(&key.source, &b.at(14 + 12), 8);
    std::memcpy(&key.source_port, &b.at(14 + 20), 4);
    key.protocol = b.at(14 + 9);
    return net::flow_hash(key, 0);
  }
  net::FlowKey6 key;
  std::memcpy(&key.source, &b.at(14 + 8), 32);
  std::memcpy(&key.source_port, &b.at(14 + 40), 4);
  key.protocol = b.at(14 + 6);
  return net::flow_hash(key, 0);
}

std::vector<Case> all_cases() {
  std::vector<Case> all;
  for (auto table : {parse_cases, dsr_cases, encap_cases, fit_cases, nat_cases, route_cases, icmp_cases, announce_cases}) {
    auto cases = table();
    all.insert(all.end(), std::make_move_iterator(cases.begin()), std::make_move_iterator(cases.end()));
  }
  return all;
}

}  // namespace guideway::cases
