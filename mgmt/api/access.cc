#include "mgmt/api/access.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_join.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <algorithm>

#include "mgmt/api/appliance.pb.h"
#include "mgmt/bad_request.h"

namespace guideway::mgmt {
namespace {

using google::protobuf::MethodOptions;

constexpr size_t kMaxShown = 200;  // bytes

bool has_one_of(const Subject& caller, const std::vector<std::string>& organizations) {
  return std::ranges::any_of(caller.organizations, [&](const std::string& o) {
    return std::ranges::find(organizations, o) != organizations.end();
  });
}

std::string list(const std::vector<std::string>& organizations) {
  if (organizations.empty()) return "no O";
  return shown("O=" + absl::StrJoin(organizations, ", O="));
}

// In the generated classes' own pool: what isn't in it isn't served. Null if it isn't.
const google::protobuf::MethodDescriptor* described(std::string_view method) {
  if (!method.starts_with('/')) return nullptr;
  std::string name(method.substr(1));
  std::ranges::replace(name, '/', '.');
  return v1::GetStatusRequest::descriptor()->file()->pool()->FindMethodByName(name);
}

}  // namespace

std::string shown(std::string_view name) {
  return shortened(absl::Utf8SafeCHexEscape(std::string(name.substr(0, kMaxShown))), kMaxShown);
}

bool is_ours(std::string_view method) { return described(method) != nullptr; }

bool only_reads(std::string_view method) {
  const auto* m = described(method);
  return m != nullptr && m->options().idempotency_level() == MethodOptions::NO_SIDE_EFFECTS;
}

bool for_anybody(std::string_view method) {
  return method.starts_with("/grpc.health.v1.Health/") || method.starts_with("/grpc.reflection.");
}

absl::Status may_call(const Roles& roles, const Subject& caller, const std::string& objection,
                      std::string_view method) {
  const std::string who = "'" + shown(caller.name) + "'";
  if (!objection.empty())
    return absl::UnauthenticatedError(
        "the certificate with the name " + who + " " + objection +
        "; connect with one that a certificate in guidewayd's --tls-client-ca vouches for");
  if (for_anybody(method) || has_one_of(caller, roles.operators)) return absl::OkStatus();
  if (!has_one_of(caller, roles.viewers))
    return absl::PermissionDeniedError("the certificate of " + who + " has " + list(caller.organizations) +
                                       ", which is no role here: viewers have " + list(roles.viewers) + ", operators " +
                                       list(roles.operators));
  if (only_reads(method)) return absl::OkStatus();
  return absl::PermissionDeniedError(who + " is a viewer (" + list(caller.organizations) +
                                     "): " + shown(method.substr(method.rfind('/') + 1)) + " is for operators (" +
                                     list(roles.operators) + ")");
}

}  // namespace guideway::mgmt
