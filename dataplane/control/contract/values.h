// How the contract writes prefixes, modes and states.
#pragma once

#include <optional>
#include <string>

#include "dataplane/engine.pb.h"
#include "dataplane/path/tables.h"
#include "net/prefix.h"

namespace guideway::control {

inline constexpr const char* kAddressShape = "an address has 4 or 16 bytes";

// Masked; nothing if there are more bits than the address has.
std::optional<net::Prefix> prefix_of(const std::string& bytes, uint32_t length);
std::optional<path::Mode> mode_of(engine::ForwardingMode m);
engine::ForwardingMode mode_of(path::Mode m);
// Unspecified for what isn't a connection's.
engine::ConnectionState state_of(path::ConnectionState s);

}  // namespace guideway::control
