// Objects without where they stand, to tell whether two are the same.
#pragma once

#include "mgmt/model/objects.h"

namespace guideway::mgmt {

Object without_places(Object object);

// The mode that an object names itself; nothing if GatewayConfig tells.
std::optional<ForwardingMode> named_mode(const Object& object);

}  // namespace guideway::mgmt
