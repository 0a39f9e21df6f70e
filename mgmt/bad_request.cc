#include "mgmt/bad_request.h"

#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include "mgmt/api/error_details.pb.h"

namespace guideway::mgmt {
namespace {

// Bytes. An error travels in HTTP/2's trailers three times over, of which gRPC's clients take 8 KB.
constexpr size_t kMaxField = 120;
constexpr size_t kMaxDescription = 240;
constexpr size_t kMaxText = 1'200;

// `path`: where the message stands in the request, which has no path itself but its name.
absl::Status all_known(const google::protobuf::Message& m, const std::string& path) {
  const auto& reflection = *m.GetReflection();
  if (const auto& unknown = reflection.GetUnknownFields(m); !unknown.empty())
    return bad_request(path.empty() ? std::string(m.GetDescriptor()->name()) : path,
                       "field number " + std::to_string(unknown.field(0).number()) +
                           " is unknown to guidewayd " GUIDEWAY_VERSION ": leave it out, or upgrade guidewayd");
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection.ListFields(m, &fields);
  for (const auto* f : fields) {
    if (f->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    const std::string at = (path.empty() ? "" : path + ".") + std::string(f->name());
    if (!f->is_repeated()) {
      if (absl::Status s = all_known(reflection.GetMessage(m, f), at); !s.ok()) return s;
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(m, f); ++i) {
      const auto& item = reflection.GetRepeatedMessage(m, f, i);
      if (absl::Status s = all_known(item, at + "[" + std::to_string(i) + "]"); !s.ok()) return s;
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string shortened(const std::string& text, size_t longest) {
  if (text.size() <= longest) return text;
  size_t end = longest;
  while (end > 0 && (text[end] & 0xc0) == 0x80) --end;  // not within a character of UTF-8
  return text.substr(0, end) + "…";
}

absl::Status bad_request(const std::vector<FieldViolation>& violations) {
  google::rpc::BadRequest details;
  std::string text;
  for (const FieldViolation& v : violations) {
    const std::string field = shortened(v.field, kMaxField);
    const std::string description = shortened(v.text, kMaxDescription);
    const std::string line = (text.empty() ? "" : "\n") + field + ": " + description;
    if (text.size() + line.size() > kMaxText) {
      const auto told = static_cast<size_t>(details.field_violations_size());
      text += "\nand " + std::to_string(violations.size() - told) + " more";
      break;
    }
    text += line;
    auto& violation = *details.add_field_violations();
    violation.set_field(field);
    violation.set_description(description);
  }
  absl::Status s = absl::InvalidArgumentError(text);
  s.SetPayload("type.googleapis.com/" + details.GetTypeName(),
               absl::Cord(absl::string_view(details.SerializeAsString())));
  return s;
}

absl::Status all_known(const google::protobuf::Message& request) { return all_known(request, ""); }

}  // namespace guideway::mgmt
