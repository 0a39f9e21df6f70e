#include "mgmt/compile/build_entry.h"

#include <algorithm>

#include "dataplane/engine.pb.h"
#include "mgmt/engine_link/frame.h"

namespace guideway::mgmt {
namespace {

BackendState state_of(const Endpoint& e, bool publish_not_ready) {
  if (e.ready || publish_not_ready) return BackendState::kReady;
  return e.serving && e.terminating ? BackendState::kTerminating : BackendState::kNotReady;
}

// A pod that moves between slices stands in both for a while: the better state counts, then the larger weight.
void merge(std::vector<Backend>& backends) {
  std::sort(backends.begin(), backends.end(), [](const Backend& a, const Backend& b) {
    if (const auto c = a.address <=> b.address; c != 0) return c < 0;
    if (a.port != b.port) return a.port < b.port;
    if (a.state != b.state) return a.state < b.state;
    if (a.weight != b.weight) return a.weight > b.weight;
    return a.slice->key < b.slice->key;
  });
  const auto end = std::unique(backends.begin(), backends.end(), [](const Backend& a, const Backend& b) {
    return a.address == b.address && a.port == b.port;
  });
  backends.erase(end, backends.end());
}

void add_endpoints(Entry& entry, const ObjectPtr& object, uint16_t port, bool publish_not_ready) {
  const auto& slice = std::get<EndpointSlice>(object->body);
  for (uint32_t i = 0; i < slice.endpoints.size(); ++i) {
    const Endpoint& e = slice.endpoints[i];
    entry.backends.push_back({e.address, port, state_of(e, publish_not_ready), slice.weight, false, object, i});
  }
}

void add_slice(BuiltEntry& built, const ObjectPtr& object, const ServicePort& port, AddressType family,
               bool publish_not_ready) {
  const auto& slice = std::get<EndpointSlice>(object->body);
  Entry& entry = *built.entry;
  if (slice.type != family) return;
  if (port.port == 0) {
    // Any port: whichever the slice names, as long as it has the protocol.
    const bool serves = std::any_of(slice.ports.begin(), slice.ports.end(),
                                    [&](const SlicePort& s) { return s.protocol == port.protocol; });
    if (serves || slice.ports.empty()) add_endpoints(entry, object, 0, publish_not_ready);
    return;
  }
  const auto p = std::find_if(slice.ports.begin(), slice.ports.end(),
                              [&](const SlicePort& s) { return s.name == port.name && s.protocol == port.protocol; });
  if (p == slice.ports.end()) return;
  if (p->port == 0 || (is_dsr(entry.mode) && p->port != port.port)) {
    built.mismatches.push_back({object, &*p, &port, p->port == 0});
    return;
  }
  add_endpoints(entry, object, p->port, publish_not_ready);
}

// Those of the VIP's own family; without any, a tunnel takes the other's.
void add_slices(BuiltEntry& built, const std::vector<ObjectPtr>& slices, const ServicePort& port,
                bool publish_not_ready) {
  const bool v4 = built.entry->vip.address.is_v4();
  const auto add = [&](AddressType family) {
    for (const ObjectPtr& s : slices) add_slice(built, s, port, family, publish_not_ready);
  };
  add(v4 ? AddressType::kIpv4 : AddressType::kIpv6);
  if (is_tunnel(built.entry->mode) && built.entry->backends.empty() && built.mismatches.empty())
    add(v4 ? AddressType::kIpv6 : AddressType::kIpv4);
}

engine::ForwardingMode to_engine(ForwardingMode mode) {
  switch (mode) {
    case ForwardingMode::kDsrL2:
      return engine::FORWARDING_MODE_DSR_L2;
    case ForwardingMode::kDsrIpip:
      return engine::FORWARDING_MODE_DSR_IPIP;
    case ForwardingMode::kDsrGue:
      return engine::FORWARDING_MODE_DSR_GUE;
    case ForwardingMode::kNat:
      return engine::FORWARDING_MODE_NAT;
  }
  return engine::FORWARDING_MODE_UNSPECIFIED;
}

void write_message(Entry& entry, const Service& service) {
  engine::Envelope envelope;
  engine::Service& s = *envelope.mutable_service();
  s.set_name(entry.name);
  s.set_address(net::bytes_of(entry.vip.address));
  s.set_port(entry.vip.port);
  s.set_protocol(static_cast<uint32_t>(entry.vip.protocol));
  s.set_mode(to_engine(entry.mode));
  s.set_table_size(entry.table_size);
  std::string table = std::to_string(entry.table_size);
  for (const Backend& b : entry.backends) {
    if (b.state == BackendState::kNotReady) continue;
    engine::Real& r = *s.add_reals();
    r.set_address(net::bytes_of(b.address));
    r.set_port(b.port);
    r.set_state(b.state == BackendState::kReady ? engine::Real::STATE_READY : engine::Real::STATE_TERMINATING);
    r.set_weight(b.weight);
    r.AppendToString(&table);
    ++entry.reals;
    entry.takes_new |= b.weight > 0;
  }
  s.set_mtu(service.mtu);
  s.set_affinity_seconds(service.affinity_seconds);
  for (const net::Prefix& p : service.source_ranges) {
    engine::Prefix& m = *s.add_source_ranges();
    m.set_address(net::bytes_of(p.address));
    m.set_length(p.length);
  }
  s.set_source_ranges_deny(service.source_ranges_deny);
  s.set_announce(entry.announce);
  s.set_rate_limit(service.rate_limit);
  entry.table = std::hash<std::string>{}(table);
  entry.frame = frame_of(envelope);
}

}  // namespace

std::vector<ServicePort> served_ports(const Service& service) {
  if (!service.any_port) return service.ports;
  std::vector<ServicePort> ports;
  for (const ServicePort& p : service.ports) {
    if (std::any_of(ports.begin(), ports.end(), [&](const ServicePort& o) { return o.protocol == p.protocol; }))
      continue;
    ServicePort any;
    any.protocol = p.protocol;
    any.line = p.line;
    any.index = p.index;
    ports.push_back(any);
  }
  return ports;
}

std::string entry_name_prefix(const std::string& ns, const std::string& service) {
  return ns + "/" + (service.empty() ? "" : service + ":");
}

std::array<std::string, 3> parse_entry_name(const std::string& name) {
  const size_t slash = name.find('/');
  const size_t colon = name.find(':', slash);
  const size_t at = name.find('@', colon);
  if (at == std::string::npos) return {};
  return {name.substr(0, slash), name.substr(slash + 1, colon - slash - 1), name.substr(colon + 1, at - colon - 1)};
}

std::string entry_name(const ObjectKey& service, const ServicePort& port, const net::IpAddress& vip) {
  return entry_name_prefix(service.ns, service.name) + port.name + "@" + net::to_string(vip, port.port) + "/" +
         to_string(port.protocol);
}

BuiltEntry build_entry(const ObjectPtr& service, const Vip& vip, const ServicePort& port, ForwardingMode mode,
                       bool announce, const std::vector<ObjectPtr>& slices, const Overrides& overrides) {
  const auto& body = std::get<Service>(service->body);
  BuiltEntry built{std::make_shared<Entry>(), {}};
  Entry& e = *built.entry;
  e.name = entry_name(service->key, port, vip.address);
  e.service = service;
  e.port_name = port.name;
  e.vip = {vip.address, port.port, port.protocol};
  e.mode = mode;
  e.table_size = body.table_size != 0 ? body.table_size : kDefaultTableSize;
  e.announce = body.announce.value_or(announce);
  e.line = vip.line;
  e.field = vip.field;
  add_slices(built, slices, port, body.publish_not_ready);
  merge(e.backends);
  for (Backend& b : e.backends) {
    const Override* o = overrides.find(service->key.ns, service->key.name, b.address);
    if (o == nullptr) continue;
    b.weight = o->weight;
    b.overridden = true;
  }
  write_message(e, body);
  return built;
}

}  // namespace guideway::mgmt
