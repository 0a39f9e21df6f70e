// What the API makes of a request's fields, whatever a client sends: it is taken, or refused with the field's name. The
// first byte picks the request.
#include <cstdlib>

#include "mgmt/api/connections.h"
#include "mgmt/api/objects.h"
#include "mgmt/api/trace.h"
#include "mgmt/source/api/override_file.h"
#include "mgmt/source/api/submission.h"

namespace guideway::mgmt {
namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

template <typename T>
bool taken(const absl::StatusOr<T>& r) {
  if (r.ok()) return true;
  require(absl::IsInvalidArgument(r.status()));
  require(r.status().GetPayload("type.googleapis.com/google.rpc.BadRequest").has_value());
  return false;
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

}  // namespace
}  // namespace guideway::mgmt

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace guideway;
  using namespace guideway::mgmt;
  if (size == 0) return 0;
  const std::string rest(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  if (bytes[0] == 'm') manifests(rest);
  if (bytes[0] == 'p') page(rest);
  if (v1::ConnectionFilter filter; bytes[0] == 'f' && filter.ParseFromString(rest)) taken(to_engine(filter));
  if (v1::ObjectRef ref; bytes[0] == 'o' && ref.ParseFromString(rest)) taken(to_key(ref, "object"));
  if (v1::TraceRequest q; bytes[0] == 't' && q.ParseFromString(rest)) taken(to_engine(q));
  if (v1::SetBackendWeightRequest q; bytes[0] == 'w' && q.ParseFromString(rest)) weight(q);
  return 0;
}
