#include "mgmt/api/responses.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "mgmt/api/counters.h"
#include "mgmt/api/engine_limits.h"
#include "mgmt/api/enums.h"

namespace guideway::mgmt {
namespace {

v1::BackendRow::State state_of(const Backend& b) {
  switch (b.state) {
    case BackendState::kReady:
      return b.weight == 0 ? v1::BackendRow::STATE_DRAINING : v1::BackendRow::STATE_READY;
    case BackendState::kTerminating:
      return v1::BackendRow::STATE_TERMINATING;
    case BackendState::kNotReady:
      return v1::BackendRow::STATE_NOT_READY;
  }
  return v1::BackendRow::STATE_UNSPECIFIED;
}

v1::VipRow::State state_of(const Snapshot::Vip& v) {
  if (v.state == EngineLink::EntryState::kRefused) return v1::VipRow::STATE_REFUSED;
  if (v.state == EngineLink::EntryState::kPending) return v1::VipRow::STATE_PENDING;
  return v.entry->takes_new ? v1::VipRow::STATE_PROGRAMMED : v1::VipRow::STATE_NO_BACKEND;
}

void fill(const engine::Generation& g, v1::Generation& out) {
  out.set_instance(g.instance());
  out.set_counter(g.counter());
}

// Reasons with packets, most first.
void fill_counted_drops(const engine::Hello& hello, const engine::Status& s, v1::EngineStatus& out) {
  v1::ListDropsResponse all;
  fill_drops(hello, s, all);
  for (const v1::DropRow& row : all.drops()) {
    if (row.packets() == 0) break;
    v1::Drop& d = *out.add_drops();
    d.set_reason(row.reason());
    d.set_text(row.text());
    d.set_packets(row.packets());
  }
}

void fill(const engine::Hello& hello, const engine::Status& s, v1::EngineStatus& out) {
  out.set_uptime_seconds(s.uptime_seconds());
  for (const auto& p : s.ports()) {
    v1::Port& port = *out.add_ports();
    port.set_name(p.name());
    port.set_kind(p.kind());
    port.set_mode(p.mode());
    port.set_queues(p.queues());
    port.set_mtu(p.mtu());
    port.set_up(p.up());
    port.set_balanced(p.balanced());
  }
  for (const auto& w : s.workers()) {
    v1::Worker& worker = *out.add_workers();
    worker.set_core(w.core());
    worker.set_received(w.received());
    worker.set_sent(w.sent());
    if (w.drops_size() > 1) worker.set_dropped(std::accumulate(w.drops().begin() + 1, w.drops().end(), uint64_t{0}));
    worker.set_connections_ipv4(w.connections_ipv4());
    worker.set_connections_ipv6(w.connections_ipv6());
    worker.set_connection_limit(w.connection_limit());
    worker.set_handed_over(w.handed_over());
  }
  fill_counted_drops(hello, s, out);
  for (const auto& w : s.warnings()) {
    v1::Warning& warning = *out.add_warnings();
    warning.set_subject(w.subject());
    warning.set_text(w.text());
    warning.set_remedy(w.remedy());
  }
  out.set_services(s.services());
  out.set_reals(s.reals());
  out.set_exceptions(s.exceptions());
  out.set_maglev_slots_used(s.maglev_slots_used());
  out.set_denied_prefixes(s.denied_prefixes());
  out.set_denied_lengths_ipv4(s.denied_lengths_ipv4());
  out.set_denied_lengths_ipv6(s.denied_lengths_ipv6());
  out.set_hugepages(s.memory().hugepages());
  out.set_memory_bytes(s.memory().bytes());
}

}  // namespace

void fill(const Problem& p, v1::Problem& out) {
  out.set_file(p.file);
  out.set_document(p.document);
  out.set_line(p.line);
  out.set_object(p.object);
  out.set_field(p.field);
  out.set_text(p.text);
}

void fill(const std::map<std::string, uint32_t>& skipped, google::protobuf::RepeatedPtrField<v1::SkippedKind>& out) {
  for (const auto& [kind, objects] : skipped) {
    v1::SkippedKind& k = *out.Add();
    k.set_kind(kind);
    k.set_objects(objects);
  }
}

namespace {

void fill(const OwnedObject& o, v1::ObjectPlace& out) {
  out.set_object(to_string(o.object->key));
  out.set_file(o.file);
  out.set_document(o.object->place.document);
  out.set_line(o.object->place.line);
}

}  // namespace

void fill(const Snapshot& s, v1::GetStatusResponse& out) {
  out.set_version(GUIDEWAY_VERSION);
  out.set_uptime_seconds(s.uptime_seconds);
  v1::Engine& engine = *out.mutable_engine();
  engine.set_connected(s.hello.has_value());
  engine.set_socket(s.engine_socket);
  engine.set_trouble(s.engine_trouble);
  if (s.hello) engine.set_version(s.hello->engine_version());
  if (s.hello && s.status) fill(*s.hello, *s.status, *engine.mutable_status());
  fill_limits(s, engine);
  fill(s.desired, *out.mutable_desired());
  if (s.applied) fill(*s.applied, *out.mutable_applied());
  if (!s.engine_trouble.empty()) {
    v1::Problem& p = *out.add_problems();
    p.set_object("guideway-engine");
    p.set_text(s.engine_trouble);
  }
  for (const Problem& p : s.problems) fill(p, *out.add_problems());
  fill(s.skipped, *out.mutable_skipped());
  for (const auto& f : s.files) {
    v1::ManifestFile& file = *out.add_files();
    file.set_path(f.path);
    file.set_objects(f.objects);
    file.set_problems(f.problems);
    file.set_broken(f.broken);
  }
  out.set_services(s.services);
  out.set_services_left_out(s.services_left_out);
  out.set_source_filters(static_cast<uint32_t>(s.filter_objects.size()));
  out.set_denied_prefixes(s.denied_prefixes);
  out.set_endpoint_slices(s.endpoint_slices);
  out.set_vips(static_cast<uint32_t>(s.vips.size()));
  out.set_gateway_config(s.gateway_config);
  out.set_manifest_directory(s.manifest_directory);
  out.set_api_objects(s.api_objects);
  for (const auto& [key, o] : s.overrides) {
    v1::BackendWeight& w = *out.add_backend_weights();
    w.set_namespace_(key.ns);
    w.set_name(key.service);
    w.set_address(net::to_string(key.backend));
    w.set_weight(o.weight);
    w.set_since(o.since);
  }
}

void fill(const Snapshot::Vip& v, v1::VipRow& row) {
  const Entry& e = *v.entry;
  row.set_namespace_(e.service->key.ns);
  row.set_name(e.service->key.name);
  row.set_port_name(e.port_name);
  row.set_vip(net::to_string(e.vip.address));
  row.set_port(e.vip.port);
  row.set_protocol(to_api(e.vip.protocol));
  row.set_mode(to_api(e.mode));
  for (const Backend& b : e.backends) {
    const auto state = state_of(b);
    if (state == v1::BackendRow::STATE_READY) row.set_backends_ready(row.backends_ready() + 1);
    if (state == v1::BackendRow::STATE_DRAINING || state == v1::BackendRow::STATE_TERMINATING)
      row.set_backends_draining(row.backends_draining() + 1);
  }
  row.set_backends_total(static_cast<uint32_t>(e.backends.size()));
  row.set_table_size(e.table_size);
  row.set_state(state_of(v));
  row.set_file(v.file);
}

void fill(const Entry& e, const Backend& b, v1::BackendRow& row) {
  row.set_namespace_(e.service->key.ns);
  row.set_name(e.service->key.name);
  row.set_port_name(e.port_name);
  row.set_vip(net::to_string(e.vip.address));
  row.set_vip_port(e.vip.port);
  row.set_protocol(to_api(e.vip.protocol));
  row.set_address(net::to_string(b.address));
  row.set_port(b.port);
  row.set_state(state_of(b));
  row.set_weight(b.weight);
  row.set_weight_set(b.overridden);
  row.set_slice(b.slice->key.name);
  const Endpoint& endpoint = std::get<EndpointSlice>(b.slice->body).endpoints[b.endpoint];
  row.set_pod(endpoint.target);
  row.set_node(endpoint.node);
}

namespace {

void fill(const Snapshot& s, const Snapshot::Vip& v, v1::VipRow& row) {
  fill(v, row);
  fill_counters(s, *v.entry, row);
}

void fill(const Snapshot& s, const Entry& e, const Backend& b, v1::BackendRow& row) {
  fill(e, b, row);
  fill_counters(s, e, b, row);
}

bool has(const ServiceFilter& filter, const Snapshot::Vip& v) {
  const ObjectKey& key = v.entry->service->key;
  return filter.has(key.ns, key.name);
}

absl::Status no_service(const ObjectKey& key) {
  return absl::NotFoundError("there is no " + to_string(key) + "; guideway services lists those of the gateway");
}

}  // namespace

void fill(const Snapshot& s, const ServiceFilter& filter, v1::ListServicesResponse& out) {
  for (const auto& v : s.vips)
    if (has(filter, v)) fill(s, v, *out.add_services());
}

void fill(const Snapshot& s, const ServiceFilter& filter, v1::ListBackendsResponse& out) {
  for (const auto& v : s.vips) {
    if (!has(filter, v)) continue;
    for (const Backend& b : v.entry->backends) fill(s, *v.entry, b, *out.add_backends());
  }
}

absl::Status fill(const Snapshot& s, const std::set<ObjectKey>& former, const ObjectKey& key,
                  v1::GetServiceResponse& out) {
  std::set<std::string> names{to_string(key)};
  std::set<std::string> files;
  const auto add = [&](const OwnedObject& o) {
    v1::ObjectPlace& place = *out.add_objects();
    fill(o, place);
    place.set_former_in_force(former.contains(o.object->key));
    names.insert(place.object());
    files.insert(o.file);
  };
  for (const OwnedObject& o : s.service_objects) {
    if (o.object->key != key) continue;
    add(o);
    out.set_left_out(!std::get<Service>(o.object->body).ours);
  }
  for (const OwnedObject& o : s.slice_objects)
    if (o.object->key.ns == key.ns && std::get<EndpointSlice>(o.object->body).service == key.name) add(o);
  for (const auto& v : s.vips) {
    if (v.entry->service->key != key) continue;
    fill(s, v, *out.add_vips());
    for (const Backend& b : v.entry->backends) fill(s, *v.entry, b, *out.add_backends());
  }
  // What is wrong with a file as a whole names no object.
  for (const Problem& p : s.problems)
    if (p.object.empty() ? files.contains(p.file) : names.contains(p.object)) fill(p, *out.add_problems());
  return out.objects_size() > 0 || out.problems_size() > 0 ? absl::OkStatus() : no_service(key);
}

absl::Status fill(const Snapshot& s, const BackendKey& key, v1::GetBackendResponse& out) {
  const std::string vip = net::to_string(key.vip.address, key.vip.port) + "/" + to_string(key.vip.protocol);
  for (const auto& v : s.vips) {
    const Entry& e = *v.entry;
    if (e.service->key != key.service || e.vip != key.vip) continue;
    for (const Backend& b : e.backends) {
      if (b.address != key.address || b.port != key.port) continue;
      fill(s, e, b, *out.mutable_backend());
      return absl::OkStatus();
    }
    return absl::NotFoundError(vip + " of " + to_string(key.service) + " has no backend " +
                               net::to_string(key.address, key.port) + "; guideway backends lists those there are");
  }
  if (std::ranges::none_of(s.service_objects, [&](const OwnedObject& o) { return o.object->key == key.service; }))
    return no_service(key.service);
  return absl::NotFoundError(to_string(key.service) + " has no VIP " + vip +
                             "; guideway services lists those there are");
}

}  // namespace guideway::mgmt
