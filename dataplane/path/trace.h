// A packet that is only asked about: "what would become of it?" It goes through the stages as all others do, on the
// worker that it would come to, but with copies of what they change (a rehearsal of the tables, copies of the rest), so
// that nothing has changed when it is through. After each stage its worker notes what the packet's metadata say, and
// the rows of the tables that were asked, before they can change. It is never sent.
//
// Control owns it, gives it to a worker, and reads it once `done`.
#pragma once

#include <rte_ring.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "dataplane/path/balance.h"
#include "dataplane/path/burst.h"
#include "dataplane/path/fragments.h"
#include "dataplane/path/holdings.h"
#include "dataplane/path/ledger.h"
#include "dataplane/path/tables.h"

namespace guideway::path {

// The path's stages as far as they decide something, in their order.
enum class Stage : uint8_t {
  kParse,
  kMatch,
  kAnswer,
  kTrack,
  kHand,
  kBalance,
  kLearn,
  kHandOn,
  kRoute,
  kFit,
  kApply,
  kFrame
};
inline constexpr size_t kStages = 12;

struct Trace {
  // The entry that was found, as it stood.
  struct Known {
    ConnectionState state{};
    Tick idle = 0;  // seconds since its last packet
    Direction direction = Direction::kForward;
    Mode mode = Mode::kNat;
    ServiceIndex service = kNone<ServiceIndex>;
    RealIndex real = kNone<RealIndex>;
    bool outdated = false;  // its service's epoch has moved on
  };
  // Which real, why, and what the Maglev table says if it was asked.
  struct Pick {
    Choice choice;
    bool moved = false;                   // the slot has exceptions
    RealIndex stands = kNone<RealIndex>;  // in it
  };
  // What `learn` has done.
  enum class Memory : uint8_t { kNew, kReplaced, kStands, kEnds, kFloodGuard, kFull, kLaterFragment };
  // The next hop, and which of how many.
  struct Way {
    NextHop hop;
    uint32_t number = 0;
    uint32_t count = 0;
  };

  explicit Trace(int metadata) : fragments(metadata) {}

  // Said by control before.
  rte_mbuf* mbuf = nullptr;
  uint8_t port = 0;          // that it comes in by
  bool handed_over = false;  // or over a ring: the mbuf carries a HandedOver
  // Where it would be handed on; each has room for one packet.
  std::array<rte_ring*, kMaxWorkers> to{};
  RealCounterRows reals;  // to count in, for nobody

  // What the stages change.
  Fragments fragments;
  std::optional<Ledger> ledger;
  std::optional<Holdings> holdings;
  Burst burst;  // with the pieces that the packet was cut into

  // What came of it.
  std::array<std::optional<Packet>, kStages> after;  // the packet, by stage
  std::optional<Known> known;
  std::optional<Service> service;
  std::optional<Pick> pick;
  std::optional<Memory> memory;
  std::optional<net::FlowKey6> translated;  // nat: what the flow's addresses and ports become
  std::optional<Way> way;
  std::atomic<bool> done{false};

  const std::optional<Packet>& seen(Stage s) const { return after[static_cast<size_t>(s)]; }
  // By the worker, after each stage.
  void note(Stage stage, const Tables& t);

 private:
  template <typename Entry>
  void note_entry(const Packet& p, const ConnectionTable<Entry>& table, const Tables& t);
  template <typename Entry>
  void note_translation(const Packet& p, const ConnectionTable<Entry>& table);
  // `before`: as the packet came to that stage.
  void note_pick(const Packet& before, const Packet& p, const Tables& t);
  template <typename Entry>
  void expect(const Packet& p, const ConnectionTable<Entry>& table);
  void note_way(const Packet& p, const Tables& t);

  Memory if_remembered_ = Memory::kNew;
  Memory if_not_ = Memory::kFull;
};

}  // namespace guideway::path
