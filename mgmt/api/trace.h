// A question what would become of a packet and its answer, between the API's messages and the contract's. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <vector>

#include "dataplane/engine.pb.h"
#include "mgmt/api/appliance.pb.h"
#include "mgmt/snapshot.h"

namespace guideway::mgmt {

// Errors name the field; whether it all makes a packet, the engine judges.
absl::StatusOr<engine::TraceRequest> to_engine(const v1::TraceRequest& request);

// `vips`: those that the daemon has now, by which it is told what gave a Service its mode.
void fill(const engine::Trace& trace, const std::vector<Snapshot::Vip>& vips, v1::TraceResponse& out);

}  // namespace guideway::mgmt
