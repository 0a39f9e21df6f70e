// What the API makes of a request's fields, whatever a client sends: it is taken, or refused with the field's name. The
// first byte picks the request.
#include <cstdlib>

#include "mgmt/api/connections.h"
#include "mgmt/api/filters.h"
#include "mgmt/api/objects.h"
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

// Whether the bytes are such a message. What acceptable() lets pass has nothing to be discarded.
bool parsed(google::protobuf::Message& q, const std::string& bytes) {
  if (!q.ParseFromString(bytes)) return false;
  const bool known = taken(acceptable(q));
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

void weight(const v1::SetBackendWeightRequest& q) {
  const auto key = to_override(q.namespace_(), q.name(), q.address());
  if (!taken(key)) return;
  const Override value{q.weight() % (kMaxWeight + 1), "2026-01-01T00:00:00Z"};
  const auto kept = parse_override(override_text(*key, value));
  require(kept.ok() && kept->first == *key && kept->second.weight == value.weight);
}

void page(const std::string& token) {
  const auto position = position_of(token);
  if (taken(position)) require(page_token(*position_of(page_token(*position))) == page_token(*position));
}

void condition(const v1::ApplyObjectsRequest& q) {
  require(taken(to_condition(q.condition())) == v1::ApplyObjectsRequest::Condition_IsValid(q.condition()));
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

}  // namespace
}  // namespace guideway::mgmt

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace guideway;
  using namespace guideway::mgmt;
  if (size == 0) return 0;
  const std::string rest(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  if (bytes[0] == 'm') manifests(rest);
  if (bytes[0] == 'p') page(rest);
  if (v1::ConnectionFilter filter; bytes[0] == 'f' && parsed(filter, rest)) taken(to_engine(filter));
  if (v1::ListConnectionsRequest q; bytes[0] == 'c' && parsed(q, rest)) taken(to_engine(q.filter()));
  if (v1::ObjectRef ref; bytes[0] == 'o' && parsed(ref, rest)) taken(to_key(ref, "object"));
  if (v1::TraceRequest q; bytes[0] == 't' && parsed(q, rest)) taken(to_engine(q));
  if (v1::SetBackendWeightRequest q; bytes[0] == 'w' && parsed(q, rest)) weight(q);
  if (v1::GetBackendRequest q; bytes[0] == 'b' && parsed(q, rest)) taken(to_backend(q));
  if (v1::ApplyObjectsRequest q; bytes[0] == 'a' && parsed(q, rest)) condition(q);
  if (v1::DeleteObjectsRequest q; bytes[0] == 'd' && parsed(q, rest))
    for (const v1::ObjectRef& ref : q.objects()) taken(to_key(ref, "objects"));
  if (v1::ListDeniedPrefixesRequest q; bytes[0] == 'n' && parsed(q, rest)) denied(q);
  return 0;
}
