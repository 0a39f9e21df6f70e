#include "dataplane/control/steering.h"

#include <cstring>
#include <map>

namespace guideway::control {

namespace {

gw_address address(const net::IpAddress& a) {
  gw_address out;
  std::memcpy(out.bytes, a.bytes.data(), sizeof out.bytes);
  return out;
}

}  // namespace

Steering steering_of(const Publisher& publisher) {
  Steering s;
  std::map<net::IpAddress, gw_address_value> addresses;
  for (const auto& [name, spec] : publisher.services()) {
    s.vips.push_back({address(spec.vip.address), spec.vip.port.wire(), spec.vip.protocol, 0});
    uint32_t& flags = addresses[spec.vip.address].flags;
    flags |= GW_ADDRESS_VIP;
    if (spec.vip.port == path::kAnyPort) flags |= GW_ADDRESS_ANY_PORT;
    // Whether it has a backend, the workers judge: what is asked while it has none counts as a drop.
    if (spec.announce) flags |= GW_ADDRESS_ANNOUNCED;
  }
  const GatewaySpec& g = publisher.gateway();
  for (size_t i = 0; i < g.snat.size(); ++i) {
    gw_address_value& v = addresses[g.snat[i].address];
    v.port_min = g.snat[i].port_min;
    v.port_max = g.snat[i].port_max;
    v.flags |= g.dedicated[i] ? GW_ADDRESS_SNAT | GW_ADDRESS_DEDICATED : GW_ADDRESS_SNAT;
    if (i < g.announced.size() && g.announced[i]) v.flags |= GW_ADDRESS_ANNOUNCED;
  }
  for (const auto& [a, value] : addresses) s.addresses.push_back({address(a), value});
  return s;
}

}  // namespace guideway::control
