// A request whose fields are wrong, as a status that says which: INVALID_ARGUMENT with google.rpc.BadRequest as its
// payload, which the API's server sends along as the error's details.
#pragma once

#include <absl/status/status.h>

#include <string>
#include <vector>

namespace guideway::mgmt {

struct FieldViolation {
  std::string field;  // "filter.client", "Service demo/web: spec.ports[0].port"
  std::string text;
};

// At least one. The sentence tells all of them.
absl::Status bad_request(const std::vector<FieldViolation>& violations);
inline absl::Status bad_request(std::string field, std::string text) {
  return bad_request({{std::move(field), std::move(text)}});
}

}  // namespace guideway::mgmt
