#include "mgmt/bad_request.h"

#include "mgmt/api/error_details.pb.h"

namespace guideway::mgmt {

absl::Status bad_request(const std::vector<FieldViolation>& violations) {
  google::rpc::BadRequest details;
  std::string text;
  for (const FieldViolation& v : violations) {
    text += (text.empty() ? "" : "\n") + v.field + ": " + v.text;
    auto& violation = *details.add_field_violations();
    violation.set_field(v.field);
    violation.set_description(v.text);
  }
  absl::Status s = absl::InvalidArgumentError(text);
  s.SetPayload("type.googleapis.com/" + details.GetTypeName(),
               absl::Cord(absl::string_view(details.SerializeAsString())));
  return s;
}

}  // namespace guideway::mgmt
