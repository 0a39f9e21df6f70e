// guideway.io/v1alpha1 GatewayConfig: what holds for the gateway as a whole. Ours, so an unknown field is an error.

#include <charconv>

#include "mgmt/model/names.h"
#include "mgmt/source/object_reader.h"

namespace guideway::mgmt {
namespace {

ForwardingMode read_mode(ObjectReader& r, Field f, ForwardingMode fallback, bool dsr_only) {
  if (f.empty()) return fallback;
  const auto m = parse_forwarding_mode(r.text(f));
  if (m && (!dsr_only || is_dsr(*m))) return *m;
  r.error(f, dsr_only ? "must be dsr-l2, dsr-ipip or dsr-gue" : "must be dsr-l2, dsr-ipip, dsr-gue or nat");
  return fallback;
}

std::optional<uint16_t> port_number(std::string_view s) {
  uint16_t n = 0;
  const auto [end, ec] = std::from_chars(s.data(), s.data() + s.size(), n);
  if (ec != std::errc{} || end != s.data() + s.size() || n == 0) return std::nullopt;
  return n;
}

bool read_ports(ObjectReader& r, Field f, Snat& s) {
  const std::string text = r.text(f);
  const size_t dash = text.find('-');
  const auto min = port_number(std::string_view(text).substr(0, dash));
  const auto max = dash == std::string::npos ? min : port_number(std::string_view(text).substr(dash + 1));
  if (!min || !max || *min > *max) {
    r.error(f, "must be a range of ports such as \"20000-29999\"");
    return false;
  }
  s.port_min = *min;
  s.port_max = *max;
  return true;
}

void read_snat(ObjectReader& r, GatewayConfig& g, Field f, const HostPorts& host) {
  r.only(f, {"address", "ports", "dedicated", "announce"});
  Snat s;
  const auto a = r.address(f["address"]);
  if (a) s.address = *a;
  s.dedicated = r.boolean(f["dedicated"], false);
  const Field announce = f["announce"];
  s.announce = r.announce(announce).value_or(g.announce && s.dedicated);
  if (s.announce && !s.dedicated)
    r.error(announce, "is for an address with dedicated: true: for one that the host shares, the host answers");
  const Field ports = f["ports"];
  if (ports.empty() && !s.dedicated)
    return r.error(ports,
                   "is missing: an address that the gateway shares with its host needs a range of ports, such as "
                   "\"20000-29999\", or dedicated: true");
  s.port_min = 1024;
  s.port_max = 65535;
  if (!ports.empty() && !read_ports(r, ports, s)) return;
  if (!s.dedicated && s.port_min <= host.max && s.port_max >= host.min)
    r.error(ports, "overlaps the host's own ports " + std::to_string(host.min) + "-" + std::to_string(host.max) +
                       " (ip_local_port_range): choose others, or change that range");
  for (const Snat& o : g.snat)
    if (a && o.address == *a) r.error(f["address"], "stands twice: give it one range");
  g.snat.push_back(s);
}

std::optional<net::Prefix> read_source(ObjectReader& r, Field f, bool v4) {
  if (f.empty()) return std::nullopt;
  const std::string_view text = f.value();
  const auto a = r.address(f, text.substr(0, text.find('/')));
  if (!a) return std::nullopt;
  if (a->is_v4() != v4) {
    r.error(f, v4 ? "must be an IPv4 address or prefix" : "must be an IPv6 address or prefix");
    return std::nullopt;
  }
  const auto p = r.prefix(f, text);
  if (p && p->address != *a) r.error(f, "has bits below its length: write " + net::to_string(*p));
  return p;
}

IdleTimeouts read_idle_timeouts(ObjectReader& r, Field f) {
  r.only(f, {"established", "setup", "closing", "udp"});
  const auto read = [&](std::string_view name) {
    r.limited(f[name]);
    return r.duration(f[name]);
  };
  return {read("established"), read("setup"), read("closing"), read("udp")};
}

uint32_t read_rate(ObjectReader& r, Field f) { return static_cast<uint32_t>(r.number(f, 1, UINT32_MAX).value_or(0)); }

}  // namespace

GatewayConfig decode_gateway_config(ObjectReader& r, const HostPorts& host) {
  GatewayConfig g;
  const Field spec = r.root()["spec"];
  r.only(r.root(), {"apiVersion", "kind", "metadata", "spec", "status"});
  r.only(spec, {"groupName", "hashSeed", "forwardingMode", "dsrMode", "snat", "encapsulation", "announce",
                "idleTimeouts", "floodGuard", "icmpErrorsPerSecond"});
  g.group = r.text(spec["groupName"], "default");
  r.valid_name(spec["groupName"], g.group, kMaxName);
  g.seed = r.number(spec["hashSeed"], 0, UINT64_MAX);
  g.mode = read_mode(r, spec["forwardingMode"], ForwardingMode::kNat, false);
  g.dsr_mode = read_mode(r, spec["dsrMode"], ForwardingMode::kDsrIpip, true);
  g.announce = r.announce(spec["announce"]).value_or(false);
  r.limited(spec["snat"]);
  r.list(spec["snat"], [&](Field f, uint32_t) {
    if (f.is_map()) return read_snat(r, g, f, host);
    r.error(f, "must be a map with address, ports, dedicated and announce");
  });
  const Field encap = spec["encapsulation"];
  r.only(encap, {"sourceIPv4", "sourceIPv6"});
  g.encap_ipv4 = read_source(r, encap["sourceIPv4"], true);
  g.encap_ipv6 = read_source(r, encap["sourceIPv6"], false);
  g.idle = read_idle_timeouts(r, spec["idleTimeouts"]);
  r.only(spec["floodGuard"], {"newFlowsPerSecond"});
  g.new_flow_rate = read_rate(r, spec["floodGuard"]["newFlowsPerSecond"]);
  g.icmp_rate = read_rate(r, spec["icmpErrorsPerSecond"]);
  return g;
}

}  // namespace guideway::mgmt
