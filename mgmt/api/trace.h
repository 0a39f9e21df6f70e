// A question what would become of a packet and its answer, between the API's messages and the contract's. Pure.
#pragma once

#include <absl/status/statusor.h>

#include "dataplane/engine.pb.h"
#include "mgmt/api/appliance.pb.h"

namespace guideway::mgmt {

// Errors name the field; whether it all makes a packet, the engine judges.
absl::StatusOr<engine::TraceRequest> to_engine(const v1::TraceRequest& request);

void fill(const engine::Trace& trace, v1::TraceResponse& out);

}  // namespace guideway::mgmt
