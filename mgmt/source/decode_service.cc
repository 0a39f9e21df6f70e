// v1 Service: the VIPs, their ports and how they are forwarded.

#include <algorithm>

#include "mgmt/source/object_reader.h"

namespace guideway::mgmt {
namespace {

bool is_prime(uint32_t n) {
  if (n < 2) return false;
  for (uint32_t d = 2; d * d <= n; ++d)
    if (n % d == 0) return false;
  return true;
}

// A Service without a class is ours as well: on bare metal nobody else would serve it.
bool is_ours(ObjectReader& r, Field spec) {
  const std::string type = r.text(spec["type"], "ClusterIP");
  if (type == "ExternalName" || r.text(spec["clusterIP"]) == "None") return false;
  const std::string lb_class = r.text(spec["loadBalancerClass"]);
  return type != "LoadBalancer" || lb_class.empty() || lb_class == kLoadBalancerClass;
}

void add_vip(ObjectReader& r, Service& s, Field f, uint32_t index, bool external) {
  const auto a = r.address(f);
  if (!a) return;
  for (const Vip& v : s.vips)
    if (v.address == *a) return;
  s.vips.push_back({*a, f.line(), index, external});
}

void read_vips(ObjectReader& r, Service& s) {
  const Field status = r.root()["status"];
  r.list(status["loadBalancer"]["ingress"], [&](Field f, uint32_t i) {
    if (!f["ip"].empty()) add_vip(r, s, f["ip"], i, false);
  });
  r.list(r.root()["spec"]["externalIPs"], [&](Field f, uint32_t i) { add_vip(r, s, f, i, true); });
}

void read_port(ObjectReader& r, Service& s, Field f, uint32_t index) {
  ServicePort p;
  p.index = index;
  p.name = r.text(f["name"]);
  r.valid_name(f["name"], p.name, 63);
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
  } else if (const auto n = r.number(target, 1, 65535)) {
    p.target = static_cast<uint16_t>(*n);
  }
  for (const ServicePort& o : s.ports) {
    if (o.port == p.port && o.protocol == p.protocol) r.error(f["port"], "the same port and protocol stand twice");
    if (o.name == p.name) r.error(f["name"], "the name of a port must be its own: endpoints are found by it");
  }
  s.ports.push_back(std::move(p));
}

ModeWish read_mode(ObjectReader& r, Field annotations) {
  const Field own = annotations[kModeAnnotation];
  if (!own.empty()) {
    const auto m = parse_forwarding_mode(r.text(own));
    if (!m) r.error(own, "must be dsr-l2, dsr-ipip or nat");
    return !m                               ? ModeWish::kDefault
           : *m == ForwardingMode::kDsrL2   ? ModeWish::kDsrL2
           : *m == ForwardingMode::kDsrIpip ? ModeWish::kDsrIpip
                                            : ModeWish::kNat;
  }
  const Field cilium = annotations[kCiliumModeAnnotation];
  if (cilium.empty()) return ModeWish::kDefault;
  const std::string m = r.text(cilium);
  if (m == "dsr") return ModeWish::kDefaultDsr;
  if (m == "snat") return ModeWish::kNat;
  r.error(cilium, "must be dsr or snat");
  return ModeWish::kDefault;
}

uint32_t read_table_size(ObjectReader& r, Field f) {
  const auto n = r.number(f, kMinTableSize, kMaxTableSize);
  if (!n) return 0;
  if (!is_prime(static_cast<uint32_t>(*n))) r.error(f, "must be a prime, such as 16381 or 65537");
  return static_cast<uint32_t>(*n);
}

}  // namespace

Service decode_service(ObjectReader& r) {
  Service s;
  const Field spec = r.root()["spec"];
  for (const Field f : {spec, r.root()["status"], r.root()["metadata"]["annotations"]}) r.expect_map(f);
  if (r.bad() || !is_ours(r, spec)) return s;
  read_vips(r, s);
  if (s.vips.empty() && !r.bad()) return s;
  s.ours = true;
  r.list(spec["ports"], [&](Field f, uint32_t i) {
    if (f.is_map()) return read_port(r, s, f, i);
    r.error(f, "must be a map");
  });
  if (s.ports.empty() && !r.bad()) r.error(spec["ports"], "is missing: a VIP needs a port");
  std::erase_if(s.ports, [&](const ServicePort& p) {
    if (p.protocol != net::Protocol::kSctp) return false;
    uint32_t i = 0;
    spec["ports"].each([&](Field f) {
      if (i++ == p.index) r.note(f["protocol"], "SCTP isn't supported yet: this port is left out");
    });
    return true;
  });
  const Field annotations = r.root()["metadata"]["annotations"];
  s.mode = read_mode(r, annotations);
  s.table_size = read_table_size(r, annotations[kTableSizeAnnotation]);
  s.publish_not_ready = r.boolean(spec["publishNotReadyAddresses"], false);
  return s;
}

}  // namespace guideway::mgmt
