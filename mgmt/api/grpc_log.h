// What gRPC tells nobody but its own log.
#pragma once

namespace guideway::mgmt {

// From here on it stands in ours, in its format: what gRPC complains of, and calls that it refuses without asking us.
void take_grpc_log();

}  // namespace guideway::mgmt
