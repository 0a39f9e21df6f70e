// A weight that the API set, as the text that it is kept in. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <utility>

#include "mgmt/model/overrides.h"

namespace guideway::mgmt {

// The name of its file: "demo@web@10.0.0.1.yaml"; "@@10.0.0.1.yaml" of every Service's.
std::string override_name(const OverrideKey& key);
std::string override_text(const OverrideKey& key, const Override& value);
absl::StatusOr<std::pair<OverrideKey, Override>> parse_override(std::string_view text);

}  // namespace guideway::mgmt
