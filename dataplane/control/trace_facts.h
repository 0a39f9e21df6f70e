// What a worker has noted of a traced packet, as the contract tells it.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "dataplane/control/engine_port.h"
#include "dataplane/control/publisher.h"
#include "dataplane/engine.pb.h"
#include "dataplane/path/trace.h"
#include "net/drop_reason.h"

namespace guideway::control {

// `handed_to`: the worker that the packet goes on to.
engine::TracePass facts_of(const path::Trace& trace, unsigned worker, std::optional<unsigned> handed_to,
                           const Publisher& publisher, std::span<const EnginePort> ports);

engine::TraceEnd::Drop drop_of(std::string_view stage, net::DropReason why);

}  // namespace guideway::control
