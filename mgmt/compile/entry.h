// One VIP as the engine will have it, and as the operator sees it. Immutable once built, so that it may be shown on
// other threads.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "mgmt/model/objects.h"

namespace guideway::mgmt {

struct VipKey {
  net::IpAddress address;
  uint16_t port = 0;  // 0: any
  net::Protocol protocol = net::Protocol::kTcp;
  friend auto operator<=>(const VipKey&, const VipKey&) = default;
};

enum class BackendState : uint8_t { kReady, kTerminating, kNotReady };

struct Backend {
  net::IpAddress address;
  uint16_t port = 0;  // 0: the packet's own
  BackendState state = BackendState::kNotReady;
  uint32_t weight = 1;
  bool overridden = false;  // the weight is the API's, not the slice's
  ObjectPtr slice;
  uint32_t endpoint = 0;  // in the slice: its pod and node
};

struct Entry {
  std::string name;    // engine.Service.name
  std::string frame;   // the message as it goes over the contract's socket, length and envelope included
  uint64_t table = 0;  // a digest, equal for entries that share a Maglev table
  ObjectPtr service;
  std::string port_name;
  VipKey vip;
  ForwardingMode mode = ForwardingMode::kNat;
  uint32_t table_size = 0;  // as the engine will build it: never 0
  bool announce = false;
  std::vector<Backend> backends;  // sorted; also those that get no packets
  uint32_t reals = 0;             // those that the engine gets
  bool takes_new = false;         // connections: one of them has a weight. Terminating ones do where nothing is ready
  uint32_t line = 0;              // of the VIP in its file
  std::string field;
};
using EntryPtr = std::shared_ptr<const Entry>;

inline constexpr uint32_t kDefaultTableSize = 16381;

}  // namespace guideway::mgmt
