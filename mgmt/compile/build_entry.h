// One service's VIPs and their backends out of its form and its slices. Pure: no store, no other service.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "mgmt/compile/entry.h"
#include "mgmt/model/overrides.h"
#include "mgmt/model/problem.h"

namespace guideway::mgmt {

// A port of a slice that can't serve a VIP of the service.
struct Mismatch {
  ObjectPtr slice;
  const SlicePort* slice_port = nullptr;
  const ServicePort* service_port = nullptr;
  bool unnumbered = false;  // the slice's names no number; else DSR, and the ports differ
};

struct BuiltEntry {
  std::shared_ptr<Entry> entry;
  std::vector<Mismatch> mismatches;
};

// A service's own ports, or one of number 0 for each protocol if it is for any port.
std::vector<ServicePort> served_ports(const Service& service);

// "namespace/service:port-name@address:port/TCP".
std::string entry_name(const ObjectKey& service, const ServicePort& port, const net::IpAddress& vip);
// How the names of a service's entries begin; of a namespace's, if the service's name is empty.
std::string entry_name_prefix(const std::string& ns, const std::string& service);
// What an entry's name says, in that order: namespace, service, port name. All empty if it is none.
std::array<std::string, 3> parse_entry_name(const std::string& name);

// `announce`: if the service doesn't say. `slices`: those of the service, in any order. `overrides`: of all backends.
BuiltEntry build_entry(const ObjectPtr& service, const Vip& vip, const ServicePort& port, ForwardingMode mode,
                       bool announce, const std::vector<ObjectPtr>& slices, const Overrides& overrides);

}  // namespace guideway::mgmt
