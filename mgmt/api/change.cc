#include "mgmt/api/change.h"

#include <absl/strings/ascii.h>

#include <string_view>

namespace guideway::mgmt {
namespace {

constexpr int kMaxTold = 10;  // objects

// "created" of ACTION_CREATED.
std::string word(const std::string& name, std::string_view prefix) {
  return absl::AsciiStrToLower(name.substr(prefix.size()));
}

std::string text_of(const v1::ObjectRef& o) {
  return o.kind() + " " + (o.namespace_().empty() ? "" : o.namespace_() + "/") + o.name();
}

template <typename Objects>
std::string text_of(const Objects& objects, bool dry_run) {
  if (dry_run) return "nothing, a dry run";
  std::string out;
  int told = 0;
  int more = 0;
  for (const v1::AppliedObject& o : objects) {
    if (o.action() == v1::AppliedObject::ACTION_UNCHANGED) continue;
    if (told == kMaxTold) {
      ++more;
      continue;
    }
    out += (told++ == 0 ? "" : ", ") + text_of(o.object()) + " " +
           word(v1::AppliedObject::Action_Name(o.action()), "ACTION_");
  }
  if (more > 0) out += " and " + std::to_string(more) + " more";
  return told == 0 ? "nothing" : out;
}

template <typename Request>
std::string backend(const Request& q) {
  return "backend " + q.address() +
         (q.name().empty() ? ""
                           : " of Service " + (q.namespace_().empty() ? "default" : q.namespace_()) + "/" + q.name());
}

}  // namespace

std::string change_of(const v1::ApplyObjectsRequest& q, const v1::ApplyObjectsResponse& r) {
  return text_of(r.objects(), q.dry_run());
}

std::string change_of(const v1::DeleteObjectsRequest& q, const v1::DeleteObjectsResponse& r) {
  return text_of(r.objects(), q.dry_run());
}

std::string change_of(const v1::SetBackendWeightRequest& q, const v1::SetBackendWeightResponse& /*r*/) {
  return backend(q) + " has weight " + std::to_string(q.weight());
}

std::string change_of(const v1::ResetBackendWeightRequest& q, const v1::ResetBackendWeightResponse& r) {
  return backend(q) + " has " +
         (r.has_instead() ? "weight " + std::to_string(r.instead()) + ", that for every Service,"
                          : "its EndpointSlice's weight") +
         " again" + (r.has_weight() ? " instead of " + std::to_string(r.weight()) : "");
}

std::string change_of(const v1::SetLogLevelRequest& q, const v1::SetLogLevelResponse& /*r*/) {
  return "the " + word(v1::Program_Name(q.program()), "PROGRAM_") + " logs at " +
         word(v1::LogLevel_Name(q.level()), "LOG_LEVEL_");
}

}  // namespace guideway::mgmt
