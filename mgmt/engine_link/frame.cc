#include "mgmt/engine_link/frame.h"

namespace guideway::mgmt {

std::string frame_of(const engine::Envelope& envelope) {
  std::string frame(kFrameHeaderBytes, '\0');
  envelope.AppendToString(&frame);
  const auto n = static_cast<uint32_t>(frame.size() - kFrameHeaderBytes);
  for (size_t i = 0; i < kFrameHeaderBytes; ++i) frame[i] = static_cast<char>(n >> (24 - 8 * i));
  return frame;
}

absl::StatusOr<std::optional<engine::Envelope>> take_frame(std::string_view& received) {
  if (received.size() < kFrameHeaderBytes) return std::optional<engine::Envelope>{};
  uint32_t n = 0;
  for (size_t i = 0; i < kFrameHeaderBytes; ++i) n = n << 8 | static_cast<uint8_t>(received[i]);
  if (n > kMaxEnvelopeBytes)
    return absl::DataLossError("a message of " + std::to_string(n) + " bytes, more than the contract allows");
  if (received.size() < kFrameHeaderBytes + n) return std::optional<engine::Envelope>{};
  engine::Envelope envelope;
  if (!envelope.ParseFromArray(received.data() + kFrameHeaderBytes, static_cast<int>(n)) ||
      envelope.message_case() == engine::Envelope::MESSAGE_NOT_SET)
    return absl::DataLossError("a message that isn't of the contract");
  received.remove_prefix(kFrameHeaderBytes + n);
  return std::optional<engine::Envelope>(std::move(envelope));
}

}  // namespace guideway::mgmt
