#include "mgmt/source/encode.h"

#include <cstdio>

#include "mgmt/source/decode.h"

namespace guideway::mgmt {
namespace {

std::string quote(std::string_view s) {
  std::string q = "\"";
  for (const char c : s) {
    if (c == '"' || c == '\\') q += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) {
      q += c;
      continue;
    }
    char escape[8];
    std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
    q += escape;
  }
  return q + "\"";
}

std::string quote(const net::IpAddress& a) { return quote(net::to_string(a)); }

const char* boolean(bool b) { return b ? "true" : "false"; }

template <typename List, typename F>
std::string list(const List& items, F&& each) {
  std::string s = "[";
  for (const auto& item : items) {
    if (s.size() > 1) s += ", ";
    s += each(item);
  }
  return s + "]";
}

std::string protocol(net::Protocol p) { return p == net::Protocol::kUdp ? "UDP" : "TCP"; }

std::string service(const Service& s, std::optional<ForwardingMode> mode, std::string& annotations) {
  // One that isn't ours is remembered as such, by a field that says so.
  if (!s.ours) return R"("spec": {"type": "ExternalName"})";
  if (mode) annotations += quote(kModeAnnotation) + ": " + quote(to_string(*mode));
  if (s.table_size != 0)
    annotations +=
        (annotations.empty() ? "" : ", ") + quote(kTableSizeAnnotation) + ": " + quote(std::to_string(s.table_size));
  const auto ports = list(s.ports, [](const ServicePort& p) {
    return "{\"name\": " + quote(p.name) + ", \"protocol\": " + quote(protocol(p.protocol)) +
           ", \"port\": " + std::to_string(p.port) +
           ", \"targetPort\": " + (p.target != 0 ? std::to_string(p.target) : quote(p.target_name)) + "}";
  });
  return "\"spec\": {\"type\": \"LoadBalancer\", \"publishNotReadyAddresses\": " +
         std::string(boolean(s.publish_not_ready)) + ", \"ports\": " + ports +
         "}, \"status\": {\"loadBalancer\": {\"ingress\": " +
         list(s.vips, [](const Vip& v) { return "{\"ip\": " + quote(v.address) + "}"; }) + "}}";
}

std::string slice(const EndpointSlice& s, std::string& labels) {
  if (!s.service.empty()) labels = quote(kServiceNameLabel) + ": " + quote(s.service);
  const char* type = s.type == AddressType::kIpv4 ? "IPv4" : s.type == AddressType::kIpv6 ? "IPv6" : "FQDN";
  return "\"addressType\": " + quote(type) + ", \"ports\": " +
         list(s.ports,
              [](const SlicePort& p) {
                return "{\"name\": " + quote(p.name) + ", \"protocol\": " + quote(protocol(p.protocol)) +
                       (p.port != 0 ? ", \"port\": " + std::to_string(p.port) : "") + "}";
              }) +
         ", \"endpoints\": " + list(s.endpoints, [](const Endpoint& e) {
           return "{\"addresses\": [" + quote(e.address) + "], \"conditions\": {\"ready\": " + boolean(e.ready) +
                  ", \"serving\": " + boolean(e.serving) + ", \"terminating\": " + boolean(e.terminating) + "}" +
                  (e.node.empty() ? "" : ", \"nodeName\": " + quote(e.node)) +
                  (e.target.empty() ? "" : ", \"targetRef\": {\"name\": " + quote(e.target) + "}") + "}";
         });
}

std::string gateway(const GatewayConfig& g) {
  std::string encap;
  if (g.encap_ipv4) encap += "\"sourceIPv4\": " + quote(*g.encap_ipv4);
  if (g.encap_ipv6) encap += (encap.empty() ? "" : ", ") + std::string("\"sourceIPv6\": ") + quote(*g.encap_ipv6);
  return "\"spec\": {\"groupName\": " + quote(g.group) +
         (g.seed ? ", \"hashSeed\": " + quote(std::to_string(*g.seed)) : "") +
         ", \"forwardingMode\": " + quote(to_string(g.mode)) + ", \"dsrMode\": " + quote(to_string(g.dsr_mode)) +
         ", \"encapsulation\": {" + encap + "}, \"snat\": " +
         list(g.snat,
              [](const Snat& s) {
                return "{\"address\": " + quote(s.address) + ", \"ports\": \"" + std::to_string(s.port_min) + "-" +
                       std::to_string(s.port_max) + "\", \"dedicated\": " + boolean(s.dedicated) + "}";
              }) +
         "}";
}

}  // namespace

std::string encode(const Object& object, std::optional<ForwardingMode> mode) {
  std::string annotations;
  std::string labels;
  std::string version = "v1";
  std::string body;
  if (const auto* s = std::get_if<Service>(&object.body)) body = service(*s, mode, annotations);
  if (const auto* s = std::get_if<EndpointSlice>(&object.body)) {
    version = "discovery.k8s.io/v1";
    body = slice(*s, labels);
  }
  if (const auto* g = std::get_if<GatewayConfig>(&object.body)) {
    version = kGatewayApiVersion;
    body = gateway(*g);
  }
  std::string meta = "\"name\": " + quote(object.key.name);
  if (!object.key.ns.empty()) meta += ", \"namespace\": " + quote(object.key.ns);
  if (!object.created.empty()) meta += ", \"creationTimestamp\": " + quote(object.created);
  if (!labels.empty()) meta += ", \"labels\": {" + labels + "}";
  if (!annotations.empty()) meta += ", \"annotations\": {" + annotations + "}";
  return "{\"apiVersion\": " + quote(version) + ", \"kind\": " + quote(to_string(object.key.kind)) +
         ", \"metadata\": {" + meta + "}, " + body + "}";
}

}  // namespace guideway::mgmt
