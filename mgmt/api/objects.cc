#include "mgmt/api/objects.h"

#include "mgmt/api/enums.h"
#include "mgmt/api/fields.h"
#include "mgmt/bad_request.h"
#include "mgmt/model/names.h"

namespace guideway::mgmt {
namespace {

v1::AppliedObject::Action to_api(Action a) {
  switch (a) {
    case Action::kCreated:
      return v1::AppliedObject::ACTION_CREATED;
    case Action::kConfigured:
      return v1::AppliedObject::ACTION_CONFIGURED;
    case Action::kUnchanged:
      return v1::AppliedObject::ACTION_UNCHANGED;
    case Action::kDeleted:
      return v1::AppliedObject::ACTION_DELETED;
  }
  return v1::AppliedObject::ACTION_UNSPECIFIED;
}

void fill(const Applied& a, v1::AppliedObject& out) {
  fill(a.key, *out.mutable_object());
  out.set_action(to_api(a.action));
  out.set_before(a.before);
  out.set_after(a.after);
}

absl::Status check_names(const std::string& ns, const std::string& name, const std::string& field) {
  constexpr const char* kWhy = "is no name: letters, digits, '-', '.' and '_'";
  if (!is_name(ns, kMaxNamespace)) return bad_request(field + "namespace", kWhy);
  if (!is_name(name, kMaxName)) return bad_request(field + "name", kWhy);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ObjectKey> to_key(const v1::ObjectRef& ref, const std::string& field) {
  for (const Kind kind : kKinds) {
    if (ref.kind() != to_string(kind)) continue;
    if (ref.name().empty()) return bad_request(field + ".name", "is missing");
    if (absl::Status s = check_names(ref.namespace_(), ref.name(), field + "."); !s.ok()) return s;
    if (!is_namespaced(kind)) return ObjectKey{kind, {}, ref.name()};
    return ObjectKey{kind, ref.namespace_().empty() ? "default" : ref.namespace_(), ref.name()};
  }
  return bad_request(field + ".kind", "'" + shortened(ref.kind(), 40) +
                                          "' is none of Service, EndpointSlice, GatewayConfig, SourceFilter");
}

absl::StatusOr<OverrideKey> to_override(const std::string& ns, const std::string& name, const std::string& address) {
  if (name.empty() && !ns.empty()) return bad_request("name", "is missing: a namespace alone has no backends");
  if (absl::Status s = check_names(ns, name, ""); !s.ok()) return s;
  const auto backend = to_address(address, "address");
  if (!backend.ok()) return backend.status();
  return OverrideKey{name.empty() || !ns.empty() ? ns : "default", name, *backend};
}

absl::StatusOr<BackendKey> to_backend(const v1::GetBackendRequest& q) {
  if (q.name().empty()) return bad_request("name", "is missing");
  const auto key = to_override(q.namespace_(), q.name(), q.address());
  if (!key.ok()) return key.status();
  const auto port = to_port(q.port(), "port");
  if (!port.ok()) return port.status();
  const auto vip = to_address(q.vip(), "vip");
  if (!vip.ok()) return vip.status();
  const auto vip_port = to_port(q.vip_port(), "vip_port");
  if (!vip_port.ok()) return vip_port.status();
  const uint32_t protocol = ip_protocol(q.protocol());
  if (protocol == 0) return bad_request("protocol", "must be set: TCP, UDP or SCTP");
  return BackendKey{{Kind::kService, key->ns, key->service},
                    {*vip, *vip_port, static_cast<net::Protocol>(protocol)},
                    key->backend,
                    *port};
}

absl::StatusOr<ApiSource::Condition> to_condition(v1::ApplyObjectsRequest::Condition condition) {
  switch (condition) {
    case v1::ApplyObjectsRequest::CONDITION_UNSPECIFIED:
      return ApiSource::Condition::kNone;
    case v1::ApplyObjectsRequest::CONDITION_NEW:
      return ApiSource::Condition::kNew;
    case v1::ApplyObjectsRequest::CONDITION_EXISTS:
      return ApiSource::Condition::kExists;
    default:
      return bad_request("condition", "there is no such condition");
  }
}

void fill(const ObjectKey& key, v1::ObjectRef& out) {
  out.set_kind(to_string(key.kind));
  out.set_namespace_(key.ns);
  out.set_name(key.name);
}

void fill(const ShownObject& o, v1::GetObjectResponse& out) {
  fill(o.key, *out.mutable_object());
  out.set_manifest(o.manifest);
  out.set_file(o.file);
  out.set_from_api(o.from_api);
  for (const Problem& p : o.problems) fill(p, *out.add_problems());
}

void fill(const ShownObject& o, v1::GetGatewayConfigResponse& out) {
  out.set_name(o.key.name);
  out.set_manifest(o.manifest);
  out.set_file(o.file);
  out.set_from_api(o.from_api);
  for (const Problem& p : o.problems) fill(p, *out.add_problems());
}

void fill(const ApplyResult& result, v1::ApplyObjectsResponse& out) {
  for (const Applied& a : result.objects) fill(a, *out.add_objects());
  fill(result.skipped, *out.mutable_skipped());
  for (const Problem& p : result.problems) fill(p, *out.add_problems());
}

void fill(const std::vector<Applied>& removed, v1::DeleteObjectsResponse& out) {
  for (const Applied& a : removed) fill(a, *out.add_objects());
}

}  // namespace guideway::mgmt
