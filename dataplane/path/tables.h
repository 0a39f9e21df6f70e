// What control publishes and workers read: one snapshot, the root of pointers to chunks of rows. A commit copies the
// root and the chunks that it changes; the old ones are reclaimed once all workers were quiescent.
// dataplane: ro, control: wo.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "dataplane/path/address_table.h"
#include "dataplane/path/connection_state.h"
#include "dataplane/path/fib.h"
#include "dataplane/path/index.h"
#include "dataplane/path/vip_table.h"
#include "lb/selection.h"
#include "lb/source_ranges.h"
#include "net/address.h"
#include "net/drop_reason.h"

struct rte_hash;

namespace guideway::path {

inline constexpr unsigned kMaxWorkers = 16;
inline constexpr unsigned kMaxPorts = 16;
inline constexpr unsigned kMaxSnatAddresses = 16;
inline constexpr unsigned kMaxEcmp = 14;

enum class Mode : uint8_t { kDsrL2, kDsrIpip, kDsrGue, kNat };
constexpr bool encapsulates(Mode mode) { return mode == Mode::kDsrIpip || mode == Mode::kDsrGue; }

// The least that Service::mtu may be: RFC 8200, 5.
inline constexpr uint32_t kMinServiceMtu = 1'280;

// A VIP and what stands behind it.
struct alignas(64) Service {
  bool present = false;
  Mode mode = Mode::kNat;
  bool ranges_deny = false;          // clients in `ranges` may not connect, instead of they alone
  bool owners_moved = false;         // affinity was switched on or off: flows may be with the worker that it had then
  uint16_t mtu = 0;                  // of the way to the reals, bytes of IP with the outer header; 0: the link's
  uint32_t epoch = 0;                // raised by what changes a decision, never by reals, weights or drain
  uint32_t table_offset = 0;         // of the service's slots in Tables::slots
  uint32_t table_size = 0;           // 0: no backend
  uint32_t affinity = 0;             // seconds that a client keeps its real; 0: none
  uint32_t range_count = 0;          // 0: every client may connect
  const RealIndex* reals = nullptr;  // a slot's ordinal → real
  const lb::SourceRange* ranges = nullptr;
};
static_assert(sizeof(Service) == 64);

// A server behind one service.
struct alignas(64) Real {
  lb::RealState state = lb::RealState::kGone;
  bool is_v4 = false;
  bool has_encap_source = false;
  bool on_link = false;  // a neighbour on one of our links, as dsr-l2 needs
  net::Be16 port;
  ServiceIndex service = kNone<ServiceIndex>;
  RouteIndex route = kNoRoute;
  uint64_t source_mask = 0;  // bits of the source's last 8 bytes, as they stand, that are the flow hash's in dsr-ipip
  net::IpAddress address;
  net::IpAddress encap_source;  // those bits are zero
};
static_assert(sizeof(Real) == 64);

// A neighbour, and the port that leads to it.
struct alignas(32) NextHop {
  net::DropReason unusable = net::DropReason::NO_NEIGHBOR;  // NONE: it can be sent to
  uint8_t port = 0;
  uint16_t mtu = 0;  // of the link, bytes of IP
  net::Be16 vlan;    // the tag's VID; 0: untagged
  // As they stand in the frame, so that they are copied at once.
  net::MacAddress destination;
  net::MacAddress source;
};
static_assert(sizeof(NextHop) == 32 && offsetof(NextHop, source) == offsetof(NextHop, destination) + 6);

// Where a destination leads: one next hop, or several that share its flows.
struct alignas(64) Route {
  net::DropReason unusable = net::DropReason::NO_ROUTE;
  uint8_t count = 0;
  std::array<NextHopIndex, kMaxEcmp> hops{};
};
static_assert(sizeof(Route) == 64);

// Addresses whose bits outside `mask` are `value`'s; of one family, or empty.
struct AddressRange {
  std::array<uint64_t, 2> value{1, 0};  // no address masked by nothing
  std::array<uint64_t, 2> mask{};
  bool holds(const net::IpAddress& a) const {
    const auto words = a.words();
    return (words[0] & mask[0]) == value[0] && (words[1] & mask[1]) == value[1];
  }
};

struct SnatAddress {
  net::IpAddress address;
  uint16_t port_min = 0;  // host order, inclusive
  uint16_t port_max = 0;
};

// SNAT ports are owned by workers in blocks; a reply goes to the worker whose block its port is in.
inline constexpr unsigned kSnatBlockBits = 6;
inline constexpr unsigned kSnatBlocks = 65'536 >> kSnatBlockBits;

// Rows in chunks of 64: copying one row's chunk and the pointers is all that a change costs.
template <typename Index, typename Row>
class Rows {
 public:
  static constexpr unsigned kChunk = 64;
  struct Chunk {
    std::array<Row, kChunk> rows;
  };
  const Row& operator[](Index i) const {
    const auto n = static_cast<uint32_t>(i);
    return chunks_[n / kChunk]->rows[n % kChunk];
  }
  uint32_t size() const { return static_cast<uint32_t>(chunks_.size()) * kChunk; }

 private:
  friend class ChunkWriter;
  std::vector<Chunk*> chunks_;
};

struct Tables {
  uint64_t hash_seed = 0;
  const VipTable* vips = nullptr;
  const AddressTable* addresses = nullptr;
  Rows<ServiceIndex, Service> services;
  Rows<RealIndex, Real> reals;
  Rows<RouteIndex, Route> routes;
  Rows<NextHopIndex, NextHop> next_hops;
  const uint16_t* slots = nullptr;       // all Maglev tables; top bit: the slot has exceptions
  const rte_hash* exceptions = nullptr;  // FlowKey6 → RealIndex: path/exception.h
  const Fib* fib = nullptr;              // destination → RouteIndex, for what isn't a real
  std::array<SnatAddress, kMaxSnatAddresses> snat{};
  uint32_t snat_count = 0;
  std::array<AddressRange, 2> encap_sources{};    // that are configured: what comes from there, we have encapsulated
  std::array<uint8_t, kSnatBlocks> snat_owner{};  // block → worker
  IdleTimeouts idle_timeouts = kIdleTimeout;
  std::array<net::MacAddress, kMaxPorts> port_macs{};
  uint32_t new_flow_rate = 0;  // entries a second and worker, above which the flood guard acts
  uint32_t icmp_rate = 0;      // ICMP errors of ours a second and worker
};

inline constexpr uint16_t kSlotMoved = 0x8000;
inline constexpr uint16_t kSlotOrdinal = 0x7fff;

}  // namespace guideway::path
