// A twin of the XDP program, which is on no interface: it only says what that would do with a packet, by the same code
// and maps, and changes nothing in them.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <span>
#include <utility>

#include "net/drop_reason.h"
#include "xdp/kernel_tables.h"

namespace guideway::xdp {

// What becomes of a packet. The engine's are also those that the kernel serves in its place.
struct Verdict {
  enum Fate { kEngine, kHost, kDropped };
  Fate fate = kEngine;
  net::DropReason reason = net::DropReason::NONE;  // of a drop
};

// By which a packet comes in.
struct ReceiveQueue {
  uint32_t ifindex = 0;
  uint32_t number = 0;
};

// The program, or its twin, with the maps of another that is loaded.
absl::StatusOr<Object> load_program(const steer_bpf& maps, bool rehearses);

class Rehearsal {
 public:
  static absl::StatusOr<Rehearsal> load(const steer_bpf& maps);

  // The kernel runs it over a copy of the packet.
  absl::StatusOr<Verdict> ask(std::span<const uint8_t> packet, ReceiveQueue from) const;

 private:
  explicit Rehearsal(Object twin) : twin_(std::move(twin)) {}

  Object twin_;
};

}  // namespace guideway::xdp
