// discovery.k8s.io/v1 EndpointSlice: the backends of a Service.

#include "mgmt/model/names.h"
#include "mgmt/source/object_reader.h"

namespace guideway::mgmt {
namespace {

void read_port(ObjectReader& r, EndpointSlice& s, Field f, uint32_t index) {
  r.known(f, {"appProtocol", "name", "port", "protocol"});
  SlicePort p;
  p.index = index;
  p.name = r.text(f["name"]);
  r.valid_name(f["name"], p.name, kMaxPortName);
  p.protocol = r.protocol(f["protocol"]);
  p.line = f["port"].line();
  if (const auto n = r.number(f["port"], 1, 65535)) p.port = static_cast<uint16_t>(*n);
  s.ports.push_back(std::move(p));
}

void read_endpoint(ObjectReader& r, EndpointSlice& s, Field f) {
  r.known(f, {"addresses", "conditions", "deprecatedTopology", "hints", "hostname", "nodeName", "targetRef", "zone"});
  r.known(f["conditions"], {"ready", "serving", "terminating"});
  const Field addresses = f["addresses"];
  if (!addresses.is_list()) return r.error(addresses, "must be a list with an address");
  // The first alone counts (Kubernetes says that further ones are for its own use).
  Field first = addresses["0"];
  bool found = false;
  addresses.each([&](Field a) {
    if (!found) first = a;
    found = true;
  });
  if (!found) return r.error(addresses, "must hold an address");
  const auto a = r.address(first);
  if (!a) return;
  if (a->is_v4() != (s.type == AddressType::kIpv4))
    return r.error(first, "isn't of the slice's addressType: put it into a slice of its own family");
  Endpoint e;
  e.address = *a;
  const Field conditions = f["conditions"];
  r.expect_map(conditions);
  e.ready = r.boolean(conditions["ready"], true);
  e.serving = r.boolean(conditions["serving"], true);
  e.terminating = r.boolean(conditions["terminating"], false);
  e.target = r.text(f["targetRef"]["name"]);
  r.valid_name(f["targetRef"]["name"], e.target, kMaxName);
  e.node = r.text(f["nodeName"]);
  r.valid_name(f["nodeName"], e.node, kMaxName);
  s.endpoints.push_back(std::move(e));
}

}  // namespace

EndpointSlice decode_endpoint_slice(ObjectReader& r) {
  EndpointSlice s;
  const Field root = r.root();
  const Field labels = root["metadata"]["labels"];
  r.expect_map(labels);
  s.service = r.text(labels[kServiceNameLabel]);
  r.valid_name(labels[kServiceNameLabel], s.service, kMaxName);
  const std::string type = r.text(root["addressType"]);
  if (type == "FQDN") return s;  // names aren't for packets
  if (type != "IPv4" && type != "IPv6") {
    r.error(root["addressType"], "must be IPv4, IPv6 or FQDN");
    return s;
  }
  const Field annotations = root["metadata"]["annotations"];
  r.expect_map(annotations);
  r.only_of_ours(annotations, {kWeightAnnotation});  // none of ours: who writes one looks for that
  s.weight = static_cast<uint32_t>(r.number(annotations[kWeightAnnotation], 0, kMaxWeight).value_or(1));
  s.type = type == "IPv4" ? AddressType::kIpv4 : AddressType::kIpv6;
  r.list(root["ports"], [&](Field f, uint32_t i) {
    if (f.is_map()) return read_port(r, s, f, i);
    r.error(f, "must be a map");
  });
  r.list(root["endpoints"], [&](Field f, uint32_t) {
    if (f.is_map()) return read_endpoint(r, s, f);
    r.error(f, "must be a map");
  });
  return s;
}

}  // namespace guideway::mgmt
