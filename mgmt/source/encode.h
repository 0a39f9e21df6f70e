// Objects back to text, for the state directory: JSON in Kubernetes' form, which is YAML too, so that the one decoder
// reads it. Only the fields that the gateway reads.
#pragma once

#include <optional>
#include <string>

#include "mgmt/model/objects.h"

namespace guideway::mgmt {

// One document of one line, without the "---" before it. `mode` stands for what a Service's wish came to.
std::string encode(const Object& object, std::optional<ForwardingMode> mode);

}  // namespace guideway::mgmt
