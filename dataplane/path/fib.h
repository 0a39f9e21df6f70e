// PLACEHOLDER until the routing branch is merged
#pragma once
#include "dataplane/path/index.h"
#include "net/address.h"
namespace guideway::path {
class Fib {
 public:
  RouteIndex lookup(net::Be32) const { return kNone<RouteIndex>; }
  RouteIndex lookup(const net::IpAddress&) const { return kNone<RouteIndex>; }
};
}  // namespace guideway::path
