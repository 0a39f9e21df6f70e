// Up to 64 packets on their way through the stages, with what the stages have found out about each.
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstdint>
#include <span>

#include "dataplane/path/connection_table.h"
#include "net/drop_reason.h"
#include "net/headers.h"

namespace guideway::path {

inline constexpr unsigned kBurst = 64;

enum class Family : uint8_t { kIpv4, kIpv6 };

enum class Fate : uint8_t {
  kForward,     // on its way
  kDrop,        // `reason` says why; send() frees it
  kHandedOver,  // another worker's now
};

// In the order in which the stages fill it.
struct alignas(64) Packet {
  rte_mbuf* mbuf = nullptr;
  // parse
  uint8_t* l3 = nullptr;   // the IP header
  uint16_t l3_length = 0;  // bytes from there on, without padding
  uint16_t l4_offset = 0;  // from l3
  Fate fate = Fate::kForward;
  net::DropReason reason = net::DropReason::NONE;
  Family family = Family::kIpv4;
  uint8_t protocol = 0;
  uint8_t tcp_flags = 0;
  // track, hand, balance
  bool decided = false;  // real and mode hold
  bool learn = false;    // the decision is new: remember it
  Mode mode = Mode::kNat;
  Direction direction = Direction::kForward;
  uint8_t out_port = 0;  // route
  uint32_t fit = 0;      // ConnectionTable::candidates
  SlotRef slot;
  uint64_t flow_hash = 0;   // the group's
  uint64_t table_hash = 0;  // ours alone
  ServiceIndex service = kNone<ServiceIndex>;
  RealIndex real = kNone<RealIndex>;
  RouteIndex route = kNoRoute;
  union {
    net::FlowKey4 key4;
    net::FlowKey6 key6;
  };
  Packet() : key6{} {}  // NOLINT: the union is filled by parse

  bool live() const { return fate == Fate::kForward; }
  void drop(net::DropReason why) {
    fate = Fate::kDrop;
    reason = why;
  }
  bool is_tcp() const { return protocol == static_cast<uint8_t>(net::Protocol::kTcp); }
  bool is_syn() const { return is_tcp() && (tcp_flags & (net::kTcpSyn | net::kTcpAck)) == net::kTcpSyn; }
  const auto& key(const Connection4*) const { return key4; }
  const auto& key(const Connection6*) const { return key6; }
};
static_assert(sizeof(Packet) == 128);

struct Burst {
  std::array<Packet, kBurst> packets;
  unsigned count = 0;
  bool handed_over = false;  // came over a ring: not handed on again

  std::span<Packet> all() { return {packets.data(), count}; }
};

}  // namespace guideway::path
