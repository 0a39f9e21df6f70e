#include "dataplane/control/contract/values.h"

#include <array>
#include <utility>

namespace guideway::control {

namespace {

constexpr std::array kModes{std::pair{path::Mode::kDsrL2, engine::FORWARDING_MODE_DSR_L2},
                            std::pair{path::Mode::kDsrIpip, engine::FORWARDING_MODE_DSR_IPIP},
                            std::pair{path::Mode::kDsrGue, engine::FORWARDING_MODE_DSR_GUE},
                            std::pair{path::Mode::kNat, engine::FORWARDING_MODE_NAT}};

}  // namespace

std::optional<net::Prefix> prefix_of(const std::string& bytes, uint32_t length) {
  const auto a = net::ip_of_bytes(bytes);
  if (!a || length > net::address_bits(*a)) return std::nullopt;
  return net::prefix_of(*a, length);
}

std::optional<path::Mode> mode_of(engine::ForwardingMode m) {
  for (const auto& [ours, theirs] : kModes)
    if (theirs == m) return ours;
  return std::nullopt;
}

engine::ForwardingMode mode_of(path::Mode m) {
  for (const auto& [ours, theirs] : kModes)
    if (ours == m) return theirs;
  return engine::FORWARDING_MODE_UNSPECIFIED;
}

engine::ConnectionState state_of(path::ConnectionState s) {
  switch (s) {
    case path::ConnectionState::kUdp:
      return engine::CONNECTION_STATE_UDP;
    case path::ConnectionState::kSetup:
      return engine::CONNECTION_STATE_SETUP;
    case path::ConnectionState::kEstablished:
      return engine::CONNECTION_STATE_ESTABLISHED;
    case path::ConnectionState::kClosing:
      return engine::CONNECTION_STATE_CLOSING;
    case path::ConnectionState::kClosed:
      return engine::CONNECTION_STATE_CLOSED;
    case path::ConnectionState::kClient:
      break;
  }
  return engine::CONNECTION_STATE_UNSPECIFIED;
}

}  // namespace guideway::control
