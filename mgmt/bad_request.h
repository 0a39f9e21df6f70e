// A request whose fields are wrong, as a status that says which: INVALID_ARGUMENT with google.rpc.BadRequest as its
// payload, which the API's server sends along as the error's details.
#pragma once

#include <absl/status/status.h>

#include <cstddef>
#include <string>
#include <vector>

namespace google::protobuf {
class Message;
}

namespace guideway::mgmt {

struct FieldViolation {
  std::string field;  // "filter.client", "Service demo/web: spec.ports[0].port"
  std::string text;
};

// At least one. The sentence tells them, as many as an error may hold, and how many more there are.
absl::Status bad_request(const std::vector<FieldViolation>& violations);
inline absl::Status bad_request(std::string field, std::string text) {
  return bad_request({{std::move(field), std::move(text)}});
}

// A bad_request() if it has a field, however deep, that the API's description that this program was built with doesn't
// have: what it asks for would be lost. It names what has the field, by the path ("objects[0]"); the request by its
// type.
absl::Status all_known(const google::protobuf::Message& request);

// At most so many bytes, and "…" where something was left out; `text` is UTF-8.
std::string shortened(const std::string& text, size_t longest);

}  // namespace guideway::mgmt
