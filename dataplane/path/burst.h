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
// Places for what a burst's packets are cut into: each of them into four.
inline constexpr unsigned kMade = 3 * kBurst;

enum class Family : uint8_t { kIpv4, kIpv6 };

enum class Fate : uint8_t {
  kForward,     // on its way
  kDrop,        // `reason` says why; send() frees it
  kHandedOver,  // another worker's now
  kWaits,       // for its first fragment: the table's of fragments now
  kFinished,    // complete as it stands: leaves by out_port
};

enum class Kind : uint8_t {
  kFlow,           // of a TCP, SCTP or UDP flow
  kFirstFragment,  // of a flow, by its ports
  kFragment,       // a later one: its ports were told by the first
  kIcmpError,      // protocol, key and hashes are those of the flow that it quotes, seen from the client's side
  kIcmpEcho,       // a request
  kNeighbor,       // ARP or neighbour discovery
};

constexpr bool is_fragment(Kind k) { return k == Kind::kFirstFragment || k == Kind::kFragment; }

constexpr bool has_ports(uint8_t protocol) {
  return protocol == static_cast<uint8_t>(net::Protocol::kTcp) ||
         protocol == static_cast<uint8_t>(net::Protocol::kUdp) ||
         protocol == static_cast<uint8_t>(net::Protocol::kSctp);
}

// What a packet does to its connection, as TCP says it: SYN without ACK, FIN, RST. A bit each.
enum Effect : uint8_t { kCloses = net::kTcpFin, kOpens = net::kTcpSyn, kResets = net::kTcpRst };

constexpr uint8_t tcp_effect(uint8_t flags) {
  const unsigned answers = (flags & net::kTcpAck) >> 3;  // where SYN's bit is
  return static_cast<uint8_t>(flags & (kCloses | kOpens | kResets) & ~answers);
}
static_assert(tcp_effect(net::kTcpSyn | net::kTcpPsh) == kOpens && tcp_effect(net::kTcpSyn | net::kTcpAck) == 0);
static_assert(tcp_effect(net::kTcpFin | net::kTcpAck) == kCloses && tcp_effect(net::kTcpRst) == kResets);

struct alignas(64) Packet {
  rte_mbuf* mbuf = nullptr;
  // parse
  uint8_t* l3 = nullptr;   // the IP header
  uint16_t l3_length = 0;  // bytes from there on, without padding
  uint16_t l4_offset = 0;  // from l3
  Family family = Family::kIpv4;
  uint8_t protocol = 0;
  Mode mode = Mode::kNat;  // track, balance
  uint8_t out_port = 0;    // frame, announce
  // Set back by begin(), side by side so that it takes few stores.
  Fate fate = Fate::kForward;
  net::DropReason reason = net::DropReason::NONE;
  Kind kind = Kind::kFlow;  // parse
  uint8_t effect = 0;       // parse: bits of Effect
  // track, hand, balance
  bool decided = false;  // real and mode hold
  bool learn = false;    // the decision is new: remember it
  bool answer = false;   // made by us: goes to the destination in its header, as it stands
  Direction direction = Direction::kForward;
  SlotRef slot;
  ServiceIndex service = kNone<ServiceIndex>;
  RealIndex real = kNone<RealIndex>;

  uint64_t flow_hash = 0;        // the group's
  uint64_t table_hash = 0;       // ours alone
  const NextHop* hop = nullptr;  // route
  RouteIndex route = kNoRoute;   // track, balance
  union {
    alignas(8) net::FlowKey4 key4;
    alignas(8) net::FlowKey6 key6;
  };
  uint8_t hops = 0;       // receive: how often it has been handed on; a fragment, since its ports are known
  bool off_slot = false;  // balance, of what is learnt: Maglev's slot alone may not lead to the real
  Packet() : key6{} {}    // NOLINT: the union is filled by parse

  // As a packet begins, before anything is known of it.
  void begin() {
    fate = Fate::kForward;
    reason = net::DropReason::NONE;
    kind = Kind::kFlow;
    effect = 0;
    decided = learn = answer = false;
    direction = Direction::kForward;
    slot = {};
    service = kNone<ServiceIndex>;
    real = kNone<RealIndex>;
  }

  bool live() const { return fate == Fate::kForward; }
  void drop(net::DropReason why) {
    fate = Fate::kDrop;
    reason = why;
  }
  void finish(uint8_t port) {
    fate = Fate::kFinished;
    out_port = port;
  }
  bool is(net::Protocol what) const { return protocol == static_cast<uint8_t>(what); }
  // Of a protocol whose connections open and close, so that what doesn't open one belongs to one.
  bool connected() const { return is(net::Protocol::kTcp) || is(net::Protocol::kSctp); }
  bool opens() const { return (effect & kOpens) != 0; }
  bool closes() const { return (effect & kCloses) != 0; }
  bool resets() const { return (effect & kResets) != 0; }
  // As the flow's key has it.
  net::IpAddress source() const { return family == Family::kIpv4 ? net::IpAddress::v4(key4.source) : key6.source; }
  const auto& key(const Connection4*) const { return key4; }
  const auto& key(const Connection6*) const { return key6; }
};
static_assert(sizeof(Packet) == 128);

// Up to kBurst packets until `fit`, which appends pieces.
struct Burst {
  std::array<Packet, kBurst + kMade> packets;
  unsigned count = 0;
  bool undecided = false;     // of some no connection says what to do
  bool learned = false;       // from some, what track didn't know yet
  bool without_port = false;  // some found no SNAT port here
  bool handed_over = false;   // came over a ring, or has waited: the mbufs carry a HandedOver
  uint8_t port = 0;           // that it came in by, if it wasn't handed over
  uint8_t kinds = 0;          // a bit for each Kind but kFlow that some packet has: their stages ask but once

  bool has(Kind kind) const { return (kinds >> static_cast<unsigned>(kind) & 1) != 0; }
  std::span<Packet> all() { return {packets.data(), count}; }
};

}  // namespace guideway::path
