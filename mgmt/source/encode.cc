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
std::string quote(const net::Prefix& p) { return quote(net::to_string(p)); }

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

// One more pair of a map that is being written.
void add(std::string& map, std::string_view key, const std::string& value) {
  map += (map.empty() ? "" : ", ") + quote(key) + ": " + value;
}

const char* announcing(bool yes) { return yes ? "l2" : "none"; }

std::string service_annotations(const Service& s, std::optional<ForwardingMode> mode) {
  std::string map;
  if (mode) add(map, kModeAnnotation, quote(to_string(*mode)));
  if (s.table_size != 0) add(map, kTableSizeAnnotation, quote(std::to_string(s.table_size)));
  if (s.mtu != 0) add(map, kMtuAnnotation, quote(std::to_string(s.mtu)));
  if (s.rate_limit != 0) add(map, kRateLimitAnnotation, quote(std::to_string(s.rate_limit)));
  if (s.any_port) add(map, kAnyPortAnnotation, quote("true"));
  if (s.announce) add(map, kAnnounceAnnotation, quote(announcing(*s.announce)));
  if (s.source_ranges_deny) add(map, kSourcePolicyAnnotation, quote("deny"));
  return map;
}

std::string service(const Service& s, std::optional<ForwardingMode> mode, std::string& annotations) {
  // One that isn't ours is remembered as such, by a field that says so.
  if (!s.ours) return R"("spec": {"type": "ExternalName"})";
  annotations = service_annotations(s, mode);
  std::string spec;
  add(spec, "type", quote("LoadBalancer"));
  add(spec, "publishNotReadyAddresses", boolean(s.publish_not_ready));
  add(spec, "ports", list(s.ports, [](const ServicePort& p) {
        return "{\"name\": " + quote(p.name) + ", \"protocol\": " + quote(to_string(p.protocol)) +
               ", \"port\": " + std::to_string(p.port) +
               ", \"targetPort\": " + (p.target != 0 ? std::to_string(p.target) : quote(p.target_name)) + "}";
      }));
  if (!s.source_ranges.empty())
    add(spec, "loadBalancerSourceRanges", list(s.source_ranges, [](const net::Prefix& p) { return quote(p); }));
  if (s.affinity_seconds != 0) {
    add(spec, "sessionAffinity", quote("ClientIP"));
    add(spec, "sessionAffinityConfig",
        "{\"clientIP\": {\"timeoutSeconds\": " + std::to_string(s.affinity_seconds) + "}}");
  }
  return "\"spec\": {" + spec + "}, \"status\": {\"loadBalancer\": {\"ingress\": " +
         list(s.vips, [](const Vip& v) { return "{\"ip\": " + quote(v.address) + "}"; }) + "}}";
}

std::string slice(const EndpointSlice& s, std::string& labels, std::string& annotations) {
  if (!s.service.empty()) add(labels, kServiceNameLabel, quote(s.service));
  if (s.weight != 1) add(annotations, kWeightAnnotation, quote(std::to_string(s.weight)));
  const char* type = s.type == AddressType::kIpv4 ? "IPv4" : s.type == AddressType::kIpv6 ? "IPv6" : "FQDN";
  return "\"addressType\": " + quote(type) + ", \"ports\": " +
         list(s.ports,
              [](const SlicePort& p) {
                return "{\"name\": " + quote(p.name) + ", \"protocol\": " + quote(to_string(p.protocol)) +
                       (p.port != 0 ? ", \"port\": " + std::to_string(p.port) : "") + "}";
              }) +
         ", \"endpoints\": " + list(s.endpoints, [](const Endpoint& e) {
           return "{\"addresses\": [" + quote(e.address) + "], \"conditions\": {\"ready\": " + boolean(e.ready) +
                  ", \"serving\": " + boolean(e.serving) + ", \"terminating\": " + boolean(e.terminating) + "}" +
                  (e.node.empty() ? "" : ", \"nodeName\": " + quote(e.node)) +
                  (e.target.empty() ? "" : ", \"targetRef\": {\"name\": " + quote(e.target) + "}") + "}";
         });
}

std::string idle_timeouts(const IdleTimeouts& t) {
  std::string map;
  const auto seconds = [&](const char* name, uint32_t n) {
    if (n != 0) add(map, name, quote(std::to_string(n) + "s"));
  };
  seconds("established", t.established);
  seconds("setup", t.setup);
  seconds("closing", t.closing);
  seconds("udp", t.udp);
  return "{" + map + "}";
}

std::string gateway(const GatewayConfig& g) {
  std::string encap;
  if (g.encap_ipv4) add(encap, "sourceIPv4", quote(*g.encap_ipv4));
  if (g.encap_ipv6) add(encap, "sourceIPv6", quote(*g.encap_ipv6));
  std::string spec;
  add(spec, "groupName", quote(g.group));
  if (g.seed) add(spec, "hashSeed", quote(std::to_string(*g.seed)));
  add(spec, "forwardingMode", quote(to_string(g.mode)));
  add(spec, "dsrMode", quote(to_string(g.dsr_mode)));
  add(spec, "encapsulation", "{" + encap + "}");
  add(spec, "announce", quote(announcing(g.announce)));
  add(spec, "snat", list(g.snat, [](const Snat& s) {
        return "{\"address\": " + quote(s.address) + ", \"ports\": \"" + std::to_string(s.port_min) + "-" +
               std::to_string(s.port_max) + "\", \"dedicated\": " + boolean(s.dedicated) +
               ", \"announce\": " + quote(announcing(s.announce)) + "}";
      }));
  add(spec, "idleTimeouts", idle_timeouts(g.idle));
  if (g.new_flow_rate != 0) add(spec, "floodGuard", "{\"newFlowsPerSecond\": " + std::to_string(g.new_flow_rate) + "}");
  if (g.icmp_rate != 0) add(spec, "icmpErrorsPerSecond", std::to_string(g.icmp_rate));
  return "\"spec\": {" + spec + "}";
}

std::string filter(const SourceFilter& f) {
  std::string spec;
  add(spec, "deniedCIDRs", list(f.denied, [](const net::Prefix& p) { return quote(p); }));
  if (f.rate) {
    std::string rate;
    add(rate, "packetsPerSecond", std::to_string(f.rate->packets_per_second));
    if (f.rate->burst != 0) add(rate, "burst", std::to_string(f.rate->burst));
    add(rate, "ipv4PrefixLength", std::to_string(f.rate->ipv4_length));
    add(rate, "ipv6PrefixLength", std::to_string(f.rate->ipv6_length));
    add(spec, "sourceRateLimit", "{" + rate + "}");
  }
  return "\"spec\": {" + spec + "}";
}

}  // namespace

std::string encode(const Object& object, std::optional<ForwardingMode> mode) {
  std::string annotations;
  std::string labels;
  std::string body;
  if (const auto* s = std::get_if<Service>(&object.body)) body = service(*s, mode, annotations);
  if (const auto* s = std::get_if<EndpointSlice>(&object.body)) body = slice(*s, labels, annotations);
  if (const auto* g = std::get_if<GatewayConfig>(&object.body)) body = gateway(*g);
  if (const auto* f = std::get_if<SourceFilter>(&object.body)) body = filter(*f);
  std::string meta = "\"name\": " + quote(object.key.name);
  if (!object.key.ns.empty()) meta += ", \"namespace\": " + quote(object.key.ns);
  if (!object.created.empty()) meta += ", \"creationTimestamp\": " + quote(object.created);
  if (!labels.empty()) meta += ", \"labels\": {" + labels + "}";
  if (!annotations.empty()) meta += ", \"annotations\": {" + annotations + "}";
  return "{\"apiVersion\": " + quote(api_version(object.key.kind)) +
         ", \"kind\": " + quote(to_string(object.key.kind)) + ", \"metadata\": {" + meta + "}, " + body + "}";
}

}  // namespace guideway::mgmt
