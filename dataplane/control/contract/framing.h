// The contract's messages on a stream socket: four bytes of length, big-endian, then an Envelope. Non-blocking.
#pragma once

#include <absl/status/statusor.h>

#include <optional>
#include <string>

#include "dataplane/engine.pb.h"

namespace guideway::control {

inline constexpr size_t kMaxMessage = 1 << 20;  // bytes

// Appends the message in its frame.
void append_frame(std::string& to, const engine::Envelope& message);

// Takes the first whole message off `from` (from `*at` on, which moves behind it). Nothing if it hasn't all arrived;
// InvalidArgument if it is too long or no message.
absl::StatusOr<std::optional<engine::Envelope>> take_frame(const std::string& from, size_t* at);

}  // namespace guideway::control
