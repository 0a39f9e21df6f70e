// v1 Service: whether it is the gateway's, and its ports.

#include "mgmt/model/names.h"
#include "mgmt/source/object_reader.h"

namespace guideway::mgmt {
namespace {

// A Service without a class is ours as well: on bare metal nobody else would serve it.
bool is_ours(ObjectReader& r, Field spec) {
  const std::string type = r.text(spec["type"], "ClusterIP");
  if (type == "ExternalName" || r.text(spec["clusterIP"]) == "None") return false;
  const std::string lb_class = r.text(spec["loadBalancerClass"]);
  return type != "LoadBalancer" || lb_class.empty() || lb_class == kLoadBalancerClass;
}

void read_port(ObjectReader& r, Service& s, Field f, uint32_t index) {
  r.known(f, {"appProtocol", "name", "nodePort", "port", "protocol", "targetPort"});
  ServicePort p;
  p.index = index;
  p.name = r.text(f["name"]);
  r.valid_name(f["name"], p.name, kMaxPortName);
  p.protocol = r.protocol(f["protocol"]);
  if (f["port"].empty()) return r.error(f["port"], "is missing: every port of a Service has one");
  const auto port = r.number(f["port"], 1, 65535);
  if (!port) return;
  p.port = static_cast<uint16_t>(*port);
  const Field target = f["targetPort"];
  p.line = target.empty() ? f.line() : target.line();
  if (target.empty()) {
    p.target = p.port;
  } else if (target.is_scalar() &&
             (target.quoted() || target.value().find_first_not_of("0123456789") != std::string::npos)) {
    p.target_name = r.text(target);
    r.valid_name(target, p.target_name, kMaxPortName);
  } else if (const auto n = r.number(target, 1, 65535)) {
    p.target = static_cast<uint16_t>(*n);
  }
  for (const ServicePort& o : s.ports) {
    if (o.port == p.port && o.protocol == p.protocol) r.error(f["port"], "the same port and protocol stand twice");
    if (o.name == p.name) r.error(f["name"], "the name of a port must be its own: endpoints are found by it");
  }
  s.ports.push_back(std::move(p));
}

}  // namespace

Service decode_service(ObjectReader& r) {
  Service s;
  const Field spec = r.root()["spec"];
  for (const Field f : {spec, r.root()["status"], r.root()["metadata"]["annotations"]}) r.expect_map(f);
  if (r.bad() || !is_ours(r, spec)) return s;
  s.vips = decode_vips(r);
  if (s.vips.empty() && !r.bad()) return s;
  s.ours = true;
  r.known(spec, {"allocateLoadBalancerNodePorts",
                 "clusterIP",
                 "clusterIPs",
                 "externalIPs",
                 "externalName",
                 "externalTrafficPolicy",
                 "healthCheckNodePort",
                 "internalTrafficPolicy",
                 "ipFamilies",
                 "ipFamilyPolicy",
                 "loadBalancerClass",
                 "loadBalancerIP",
                 "loadBalancerSourceRanges",
                 "ports",
                 "publishNotReadyAddresses",
                 "selector",
                 "sessionAffinity",
                 "sessionAffinityConfig",
                 "topologyKeys",
                 "trafficDistribution",
                 "type"});
  r.list(spec["ports"], [&](Field f, uint32_t i) {
    if (f.is_map()) return read_port(r, s, f, i);
    r.error(f, "must be a map");
  });
  if (s.ports.empty() && !r.bad()) r.error(spec["ports"], "is missing: a VIP needs a port");
  decode_service_options(r, s);
  return s;
}

}  // namespace guideway::mgmt
