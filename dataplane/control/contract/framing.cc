#include "dataplane/control/contract/framing.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include <cstring>

#include "net/byte_order.h"

namespace guideway::control {

void append_frame(std::string& to, const engine::Envelope& message) {
  const std::string body = message.SerializeAsString();
  const net::Be32 length{static_cast<uint32_t>(body.size())};
  to.append(reinterpret_cast<const char*>(&length), sizeof length);
  to += body;
}

absl::StatusOr<std::optional<engine::Envelope>> take_frame(const std::string& from, size_t* at) {
  net::Be32 length;
  if (from.size() - *at < sizeof length) return std::nullopt;
  std::memcpy(&length, from.data() + *at, sizeof length);
  if (length.host() > kMaxMessage)
    return absl::InvalidArgumentError(absl::StrCat("a message of ", length.host(), " bytes, of at most ", kMaxMessage));
  if (from.size() - *at - sizeof length < length.host()) return std::nullopt;
  engine::Envelope message;
  if (!message.ParseFromArray(from.data() + *at + sizeof length, static_cast<int>(length.host())))
    return absl::InvalidArgumentError("bytes that are no message");
  *at += sizeof length + length.host();
  return message;
}

}  // namespace guideway::control
