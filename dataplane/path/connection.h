// What a worker remembers of a flow: its key and the whole decision, so that its next packet asks nothing else.
// Entries are read-only after `learn`; no pointers, for the table lives in a file.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/path/connection_state.h"
#include "dataplane/path/index.h"
#include "dataplane/path/tables.h"
#include "net/flow.h"

namespace guideway::path {

enum class Direction : uint8_t {
  kForward,  // client to VIP
  kReply,    // real to SNAT address
  kNext,     // client to VIP, by an SNAT port of the next worker, or of one after that
  kNone,     // not a flow's: a client's (affinity.h)
};

inline constexpr uint32_t kNoPartner = 0xffffffffU;

// How nat rewrites one direction of a flow. The deltas are RFC 1624's, built once.
template <typename Address>
struct Translation {
  Address source{};
  Address destination{};
  net::Be16 source_port;
  net::Be16 destination_port;
  uint16_t l3_delta = 0;  // of the IPv4 header checksum
  uint16_t l4_delta = 0;
  friend bool operator==(const Translation&, const Translation&) = default;
};

template <typename Key, typename Address, size_t Size>
struct alignas(Size) ConnectionEntry {
  using KeyType = Key;
  using AddressType = Address;
  Key key;
  ServiceIndex service = kNone<ServiceIndex>;
  RealIndex real = kNone<RealIndex>;
  uint32_t epoch = 0;
  Mode mode = Mode::kNat;
  Direction direction = Direction::kForward;
  uint16_t snat_destination = 0xffff;  // SnatPorts::Index of nat's reply
  Translation<Address> translation;
  uint32_t partner = kNoPartner;  // nat: the other direction's entry, and where to find its slot
  uint64_t partner_hash = 0;
};

using Connection4 = ConnectionEntry<net::FlowKey4, net::Be32, 64>;
using Connection6 = ConnectionEntry<net::FlowKey6, net::IpAddress, 128>;
static_assert(sizeof(Connection4) == 64 && sizeof(Connection6) == 128);

}  // namespace guideway::path
