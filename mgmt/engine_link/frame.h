// How engine.proto's messages stand on the socket: four bytes of length, big-endian, then an Envelope of at most 1 MB.
#pragma once

#include <absl/status/statusor.h>

#include <optional>
#include <string>
#include <string_view>

#include "dataplane/engine.pb.h"

namespace guideway::mgmt {

inline constexpr uint32_t kContractVersion = 1;
inline constexpr size_t kMaxEnvelopeBytes = size_t{1} << 20;
inline constexpr size_t kFrameHeaderBytes = 4;

std::string frame_of(const engine::Envelope& envelope);
inline bool fits(std::string_view frame) { return frame.size() <= kMaxEnvelopeBytes + kFrameHeaderBytes; }

// Takes the first whole message off the received bytes: nothing yet, the message, or why the peer can't be understood.
absl::StatusOr<std::optional<engine::Envelope>> take_frame(std::string_view& received);

}  // namespace guideway::mgmt
