// The answer to ConnectionsRequest: what the workers remember of connections, read beside them, a part at a time, so
// that neither millions of them wait in memory nor control waits with its other work.
#pragma once

#include <absl/status/statusor.h>

#include <vector>

#include "dataplane/control/publisher.h"
#include "dataplane/engine.pb.h"
#include "dataplane/path/worker.h"

namespace guideway::control {

// The next part; an error, one sentence, for a filter that is none.
absl::StatusOr<engine::Connections> connections_part(const Publisher& publisher,
                                                     const std::vector<const path::Worker*>& workers,
                                                     const engine::ConnectionsRequest& request);

}  // namespace guideway::control
