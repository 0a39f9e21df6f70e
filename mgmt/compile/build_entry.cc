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

// A pod that moves between slices stands in both for a while: the better state counts.
void merge(std::vector<Backend>& backends) {
  std::sort(backends.begin(), backends.end(), [](const Backend& a, const Backend& b) {
    if (const auto c = a.address <=> b.address; c != 0) return c < 0;
    if (a.port != b.port) return a.port < b.port;
    return a.state < b.state;
  });
  const auto end = std::unique(backends.begin(), backends.end(), [](const Backend& a, const Backend& b) {
    return a.address == b.address && a.port == b.port;
  });
  backends.erase(end, backends.end());
}

void add_slice(BuiltEntry& built, const ObjectPtr& object, const ServicePort& port, bool publish_not_ready) {
  const auto& slice = std::get<EndpointSlice>(object->body);
  Entry& entry = *built.entry;
  const AddressType wanted = entry.vip.address.is_v4() ? AddressType::kIpv4 : AddressType::kIpv6;
  if (slice.type != wanted) return;
  const auto p = std::find_if(slice.ports.begin(), slice.ports.end(),
                              [&](const SlicePort& s) { return s.name == port.name && s.protocol == port.protocol; });
  if (p == slice.ports.end()) return;
  if (p->port == 0 || (is_dsr(entry.mode) && p->port != port.port)) {
    built.mismatches.push_back({object, &*p, &port, p->port == 0});
    return;
  }
  for (uint32_t i = 0; i < slice.endpoints.size(); ++i) {
    const Endpoint& e = slice.endpoints[i];
    entry.backends.push_back({e.address, p->port, state_of(e, publish_not_ready), 1, object, i});
  }
}

engine::ForwardingMode to_engine(ForwardingMode mode) {
  switch (mode) {
    case ForwardingMode::kDsrL2:
      return engine::FORWARDING_MODE_DSR_L2;
    case ForwardingMode::kDsrIpip:
      return engine::FORWARDING_MODE_DSR_IPIP;
    case ForwardingMode::kNat:
      return engine::FORWARDING_MODE_NAT;
  }
  return engine::FORWARDING_MODE_UNSPECIFIED;
}

void write_message(Entry& entry) {
  engine::Envelope envelope;
  engine::Service& s = *envelope.mutable_service();
  s.set_name(entry.name);
  s.set_address(address_bytes(entry.vip.address));
  s.set_port(entry.vip.port);
  s.set_protocol(static_cast<uint32_t>(entry.vip.protocol));
  s.set_mode(to_engine(entry.mode));
  s.set_table_size(entry.table_size);
  std::string table = std::to_string(entry.table_size);
  for (const Backend& b : entry.backends) {
    if (b.state == BackendState::kNotReady) continue;
    engine::Real& r = *s.add_reals();
    r.set_address(address_bytes(b.address));
    r.set_port(b.port);
    r.set_state(b.state == BackendState::kReady ? engine::Real::STATE_READY : engine::Real::STATE_TERMINATING);
    r.set_weight(b.weight);
    r.AppendToString(&table);
    ++entry.reals;
  }
  entry.table = std::hash<std::string>{}(table);
  entry.frame = frame_of(envelope);
}

}  // namespace

std::string entry_name(const ObjectKey& service, const ServicePort& port, const net::IpAddress& vip) {
  return service.ns + "/" + service.name + ":" + port.name + "@" + net::to_string(vip, port.port) +
         (port.protocol == net::Protocol::kUdp ? "/UDP" : "/TCP");
}

BuiltEntry build_entry(const ObjectPtr& service, const Vip& vip, const ServicePort& port, ForwardingMode mode,
                       const std::vector<ObjectPtr>& slices) {
  const auto& body = std::get<Service>(service->body);
  BuiltEntry built{std::make_shared<Entry>(), {}};
  Entry& e = *built.entry;
  e.name = entry_name(service->key, port, vip.address);
  e.service = service;
  e.port_name = port.name;
  e.vip = {vip.address, port.port, port.protocol};
  e.mode = mode;
  e.table_size = body.table_size != 0 ? body.table_size : kDefaultTableSize;
  e.line = vip.line;
  e.field = vip.field();
  for (const ObjectPtr& slice : slices) add_slice(built, slice, port, body.publish_not_ready);
  merge(e.backends);
  write_message(e);
  return built;
}

}  // namespace guideway::mgmt
