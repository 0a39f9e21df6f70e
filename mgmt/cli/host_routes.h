// By which interface the kernel routes some addresses, in this network namespace.
#pragma once

#include <map>
#include <vector>

#include "mgmt/cli/host.h"

namespace guideway::mgmt {

// Those without a route, or that are the host's own, are left out.
std::map<net::IpAddress, Egress> look_at_routes(const std::vector<net::IpAddress>& destinations);

}  // namespace guideway::mgmt
