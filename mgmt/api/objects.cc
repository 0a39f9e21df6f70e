#include "mgmt/api/objects.h"

#include "mgmt/api/enums.h"
#include "mgmt/api/fields.h"
#include "mgmt/bad_request.h"

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

std::string or_default(const std::string& ns) { return ns.empty() ? "default" : ns; }

// `in`: what the two stand in, with its dot.
void check_names(const std::string& ns, const std::string& name, const std::string& in, Violations& wrong) {
  check_name(ns, kMaxNamespace, in + "namespace", wrong);
  check_name(name, kMaxName, in + "name", wrong);
}

void require_name(const std::string& ns, const std::string& name, const std::string& in, Violations& wrong) {
  check_names(ns, name, in, wrong);
  if (name.empty()) wrong.push_back({in + "name", "is missing"});
}

ObjectKey read_service(const std::string& ns, const std::string& name, Violations& wrong) {
  require_name(ns, name, "", wrong);
  return {Kind::kService, or_default(ns), name};
}

ObjectKey read_key(const v1::ObjectRef& ref, const std::string& field, Violations& wrong) {
  require_name(ref.namespace_(), ref.name(), field + ".", wrong);
  for (const Kind kind : kKinds)
    if (ref.kind() == to_string(kind))
      return {kind, is_namespaced(kind) ? or_default(ref.namespace_()) : "", ref.name()};
  wrong.push_back({field + ".kind", "'" + shortened(ref.kind(), 40) +
                                        "' is none of Service, EndpointSlice, GatewayConfig, SourceFilter"});
  return {};
}

}  // namespace

absl::StatusOr<ObjectKey> to_key(const v1::ObjectRef& ref, const std::string& field) {
  Violations wrong;
  ObjectKey key = read_key(ref, field, wrong);
  if (!wrong.empty()) return bad_request(wrong);
  return key;
}

absl::StatusOr<ObjectKey> to_service(const v1::GetServiceRequest& q) {
  Violations wrong;
  ObjectKey key = read_service(q.namespace_(), q.name(), wrong);
  if (!wrong.empty()) return bad_request(wrong);
  return key;
}

absl::StatusOr<ServiceFilter> to_filter(const std::string& ns, const std::string& name) {
  Violations wrong;
  check_names(ns, name, "", wrong);
  if (!wrong.empty()) return bad_request(wrong);
  return ServiceFilter{name.empty() ? ns : or_default(ns), name};
}

absl::StatusOr<OverrideKey> to_override(const std::string& ns, const std::string& name, const std::string& address) {
  Violations wrong;
  if (name.empty() && !ns.empty()) wrong.push_back({"name", "is missing: a namespace alone has no backends"});
  check_names(ns, name, "", wrong);
  const net::IpAddress backend = read_address(address, "address", wrong);
  if (!wrong.empty()) return bad_request(wrong);
  return OverrideKey{name.empty() ? "" : or_default(ns), name, backend};
}

absl::StatusOr<BackendKey> to_backend(const v1::GetBackendRequest& q) {
  Violations wrong;
  BackendKey key;
  key.service = read_service(q.namespace_(), q.name(), wrong);
  key.address = read_address(q.address(), "address", wrong);
  key.port = read_port(q.port(), "port", wrong);
  key.vip.address = read_address(q.vip(), "vip", wrong);
  key.vip.port = read_port(q.vip_port(), "vip_port", wrong);
  key.vip.protocol = static_cast<net::Protocol>(ip_protocol(q.protocol()));
  if (ip_protocol(q.protocol()) == 0) wrong.push_back({"protocol", "must be set: TCP, UDP or SCTP"});
  if (!wrong.empty()) return bad_request(wrong);
  return key;
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
      return bad_request("condition", "must be unset or one of " + choices<v1::ApplyObjectsRequest::Condition>());
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
