// JSON as YAML, by libyaml, which reads the one and writes the other: both forms have the same keys in the same order.
#pragma once

#include <optional>
#include <string>

namespace guideway::mgmt {

// Unset: the text isn't JSON.
std::optional<std::string> yaml_of_json(const std::string& json);

}  // namespace guideway::mgmt
