// Objects as a client of the API sends them: manifests in any form that the decoder reads, lists too, cut into a text
// for each object, as it is kept. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "mgmt/model/objects.h"
#include "mgmt/source/decode.h"

namespace guideway::mgmt {

struct Submitted {
  ObjectKey key;
  std::string text;  // YAML with all fields that were sent, also those that the gateway doesn't read
};

struct Submission {
  std::vector<Submitted> objects;
  std::map<std::string, uint32_t> skipped;  // by kind: objects that aren't for the gateway
};

// Nothing of it is taken if any object is wrong: a bad_request() that names each field.
absl::StatusOr<Submission> parse_submission(std::string_view manifests, const HostPorts& host);

// One object's text again, as the file that it is kept in; its lines and problems are that file's.
absl::StatusOr<Decoded> read_kept(const std::string& path, const std::string& text, const HostPorts& host);

// The name of its file: "service@demo@web.yaml".
std::string kept_name(const ObjectKey& key);

}  // namespace guideway::mgmt
