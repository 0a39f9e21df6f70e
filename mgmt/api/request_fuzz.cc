// What the API makes of a request's fields, whatever a client sends: it is taken, or refused with the field's name. The
// first byte picks one of the service's methods: 'A' is its first; 'm' is a manifest alone, which mutates better than
// one in a message. A method that nothing here knows is parsed, and asked whether it is all_known().
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <cstdlib>

#include "mgmt/api/connections.h"
#include "mgmt/api/filters.h"
#include "mgmt/api/journal.h"
#include "mgmt/api/objects.h"
#include "mgmt/api/responses.h"
#include "mgmt/api/trace.h"
#include "mgmt/bad_request.h"
#include "mgmt/source/api/override_file.h"
#include "mgmt/source/api/submission.h"

namespace guideway::mgmt {
namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

bool taken(const absl::Status& s) {
  if (s.ok()) return true;
  require(absl::IsInvalidArgument(s));
  require(s.GetPayload("type.googleapis.com/google.rpc.BadRequest").has_value());
  return false;
}

template <typename T>
bool taken(const absl::StatusOr<T>& r) {
  return taken(r.status());
}

// Whether the bytes are such a message. What all_known() lets pass has nothing to be discarded.
bool parsed(google::protobuf::Message& q, const std::string& bytes) {
  if (!q.ParseFromString(bytes)) return false;
  const bool known = taken(all_known(q));
  const size_t size = q.ByteSizeLong();
  q.DiscardUnknownFields();
  require(known == (q.ByteSizeLong() == size));
  return true;
}

void manifests(std::string_view text) {
  const auto s = parse_submission(text, HostPorts());
  if (!taken(s)) return;
  for (const Submitted& o : s->objects) {
    const auto kept = read_kept("kept", o.text, HostPorts());
    require(kept.ok() && kept->objects.size() == 1 && kept->refused.empty() && kept->objects[0]->key == o.key);
  }
}

void override_of(const std::string& ns, const std::string& name, const std::string& address, uint32_t weight) {
  const auto key = to_override(ns, name, address);
  if (!taken(key)) return;
  const Override value{weight % (kMaxWeight + 1), "2026-01-01T00:00:00Z"};
  const auto kept = parse_override(override_text(*key, value));
  require(kept.ok() && kept->first == *key && kept->second.weight == value.weight);
}

void page(const std::string& token) {
  const auto position = position_of(token);
  if (taken(position)) require(page_token(*position_of(page_token(*position))) == page_token(*position));
}

// Service demo/web at 192.0.2.10:80, with one backend.
Snapshot one_service() {
  const auto service = std::make_shared<Object>(Object{.key = {Kind::kService, "demo", "web"}, .body = Service()});
  const auto slice = std::make_shared<Object>(Object{.key = {Kind::kEndpointSlice, "demo", "web-1"},
                                                     .body = EndpointSlice{.service = "web", .endpoints = {{}}}});
  Entry e;
  e.service = service;
  e.vip = {.address = *net::parse_ip("192.0.2.10"), .port = 80};
  e.backends.push_back({.address = *net::parse_ip("10.0.0.1"), .port = 80, .slice = slice});
  Snapshot s;
  s.vips.push_back({std::make_shared<Entry>(std::move(e)), EngineLink::EntryState::kApplied, "web.yaml"});
  s.service_objects.push_back({service, "web.yaml"});
  s.slice_objects.push_back({slice, "web.yaml"});
  return s;
}

// Found, or there is none.
bool found(const absl::Status& s) {
  require(s.ok() || absl::IsNotFound(s));
  return s.ok();
}

void service(const v1::GetServiceRequest& q) {
  static const Snapshot services = one_service();
  const auto key = to_service(q);
  v1::GetServiceResponse r;
  if (taken(key)) require(found(fill(services, {}, *key, r)) == (q.namespace_() == "demo" && q.name() == "web"));
}

void backend(const v1::GetBackendRequest& q) {
  static const Snapshot services = one_service();
  const auto key = to_backend(q);
  v1::GetBackendResponse r;
  if (taken(key) && found(fill(services, *key, r))) require(r.backend().address() == "10.0.0.1");
}

using Rows = std::map<std::string, std::string>;

// Rows that came, changed and went, some so long ago that it is forgotten.
struct Past {
  Journal journal{2};
  std::vector<Rows> states{{}};  // by the count that the journal had

  Past() {
    for (const char* key : {"a", "b", "c", "d", "e"}) put(key, "new");
    for (const char* key : {"b", "c", "d"}) remove(key);
    put("a", "other");
    put("c", "again");
  }
  void put(const std::string& key, const std::string& row) {
    journal.put(key, row);
    states.push_back(states.back());
    states.back()[key] = row;
  }
  void remove(const std::string& key) {
    journal.remove(key);
    states.push_back(states.back());
    states.back().erase(key);
  }
};

// A watch that goes on from what it knows, or begins anew, knows all in the end.
void since(const v1::Generation& generation) {
  static const Past past;
  const uint64_t count = past.states.size() - 1;
  Journal::Position reader{.told = generation.counter()};
  Rows known;
  if (past.journal.reaches_back_to(reader)) {
    require(reader.told <= count);
    known = past.states[reader.told];
  } else {
    reader = past.journal.beginning();
  }
  past.journal.tell(reader, [&](const Journal::Change& c) {
    if (c.row == nullptr) return known.erase(c.key) == 1;
    known[c.key] = *c.row;
    return true;
  });
  require(known == past.states.back() && reader.told == count);
}

template <typename Request>
void list(const Request& q) {
  taken(to_filter(q.namespace_(), q.name()));
}

template <typename Request>
void watch(const Request& q) {
  list(q);
  since(q.since());
}

void connections(const v1::ConnectionFilter& filter, const std::string& token) {
  taken(to_engine(filter));
  page(token);
}

void apply(const v1::ApplyObjectsRequest& q) {
  require(taken(to_condition(q.condition())) == v1::ApplyObjectsRequest::Condition_IsValid(q.condition()));
  manifests(q.manifests());
}

void remove(const v1::DeleteObjectsRequest& q) {
  for (const v1::ObjectRef& ref : q.objects()) taken(to_key(ref, "objects"));
  manifests(q.manifests());
}

// Two SourceFilters: pages end within them and between them.
Snapshot two_filters() {
  const SourceFilter body{.denied = {*net::parse_prefix("10.0.0.0/8"), *net::parse_prefix("2001:db8::/32")}};
  Snapshot s;
  for (const char* name : {"a", "b"})
    s.filter_objects.push_back(
        {std::make_shared<Object>(Object{.key = {Kind::kSourceFilter, "", name}, .body = body})});
  return s;
}

// From wherever the token says, pages have together what one has that is large enough.
void denied(v1::ListDeniedPrefixesRequest q) {
  static const Snapshot filters = two_filters();
  v1::ListDeniedPrefixesResponse page;
  const absl::Status s = fill(filters, q, page);
  if (absl::IsNotFound(s) || !taken(s)) return;
  v1::ListDeniedPrefixesRequest all = q;
  all.set_page_size(4);
  v1::ListDeniedPrefixesResponse whole;
  require(fill(filters, all, whole).ok() && whole.next_page_token().empty());
  int rows = page.prefixes_size();
  while (!page.next_page_token().empty()) {
    q.set_page_token(page.next_page_token());
    page.Clear();
    require(fill(filters, q, page).ok() && page.prefixes_size() > 0);
    rows += page.prefixes_size();
  }
  require(rows == whole.prefixes_size());
}

template <typename Request>
void decode(const google::protobuf::Message& m, void (*decoder)(const Request&)) {
  if (const auto* q = google::protobuf::DynamicCastToGenerated<Request>(&m)) decoder(*q);
}

// What the server does with the request before it asks the daemon.
void decode(const google::protobuf::Message& m) {
  decode<v1::GetServiceRequest>(m, service);
  decode<v1::GetBackendRequest>(m, backend);
  decode<v1::ListServicesRequest>(m, list);
  decode<v1::ListBackendsRequest>(m, list);
  decode<v1::WatchServicesRequest>(m, watch);
  decode<v1::WatchBackendsRequest>(m, watch);
  decode<v1::ListConnectionsRequest>(m, [](const auto& q) { connections(q.filter(), q.page_token()); });
  decode<v1::CountConnectionsRequest>(m, [](const auto& q) { connections(q.filter(), q.page_token()); });
  decode<v1::ListDeniedPrefixesRequest>(m, [](const auto& q) { denied(q); });
  decode<v1::TraceRequest>(m, [](const auto& q) { taken(to_engine(q)); });
  decode<v1::GetObjectRequest>(m, [](const auto& q) { taken(to_key(q.object(), "object")); });
  decode<v1::ApplyObjectsRequest>(m, apply);
  decode<v1::DeleteObjectsRequest>(m, remove);
  decode<v1::SetBackendWeightRequest>(
      m, [](const auto& q) { override_of(q.namespace_(), q.name(), q.address(), q.weight()); });
  decode<v1::ResetBackendWeightRequest>(m,
                                        [](const auto& q) { override_of(q.namespace_(), q.name(), q.address(), 0); });
}

}  // namespace
}  // namespace guideway::mgmt

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace guideway::mgmt;
  if (size == 0) return 0;
  const std::string rest(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  if (bytes[0] == 'm') {
    manifests(rest);
    return 0;
  }
  const auto& api = *guideway::v1::GetStatusRequest::descriptor()->file()->service(0);
  const auto* type = api.method(static_cast<uint8_t>(bytes[0] - 'A') % api.method_count())->input_type();
  const std::unique_ptr<google::protobuf::Message> q(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
  if (parsed(*q, rest)) decode(*q);
  return 0;
}
