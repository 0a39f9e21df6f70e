// A snapshot as the API's messages. Pure.
#pragma once

#include "mgmt/api/appliance.pb.h"
#include "mgmt/snapshot.h"

namespace guideway::mgmt {

void fill(const Snapshot& s, v1::GetStatusResponse& out);
void fill(const Snapshot& s, v1::ListServicesResponse& out);
void fill(const Snapshot& s, v1::ListBackendsResponse& out);

}  // namespace guideway::mgmt
