// What the engine holds at most beside what is used of it. Pure.
#pragma once

#include "mgmt/api/appliance.pb.h"
#include "mgmt/snapshot.h"

namespace guideway::mgmt {

// Nothing while no engine is connected: the limits are its own.
void fill_limits(const Snapshot& s, v1::Engine& out);

}  // namespace guideway::mgmt
