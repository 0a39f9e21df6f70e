// The memory of one family's path::FibTable, and how prefixes get into it and out. Writes in place: no worker may be
// reading.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "dataplane/path/fib.h"
#include "net/prefix.h"

namespace guideway::control {

// What a prefix writes into its slots.
struct FibOwner {
  path::RouteIndex index = path::kNoRoute;
  uint8_t length = 0;  // of the prefix, 1 to 128; 0 with kNoRoute
};

class FibWriter {
 public:
  enum class Family { kV4, kV6 };

  // Reserves address space for all of it; the system's memory is taken as slots are written.
  static absl::StatusOr<FibWriter> create(Family family, uint32_t max_blocks);

  // Adds the prefix or gives it another index, where no longer prefix covers it. False, with nothing changed, if the
  // blocks don't suffice. `prefix` has a length of at least 1 here and below; the default route is the table's
  // fallback.
  bool add(const net::Prefix& prefix, path::RouteIndex index);
  // Takes out a prefix that is there; `parent` is the longest one that covers it, if any.
  void remove(const net::Prefix& prefix, FibOwner parent);

  path::FibTable table() const { return {root_.get(), blocks_.get(), path::kNoRoute}; }
  uint32_t blocks_in_use() const { return in_use_; }

 private:
  struct Unmap {
    size_t bytes = 0;
    void operator()(uint32_t* p) const;
  };
  using Slots = std::unique_ptr<uint32_t[], Unmap>;
  using Path = std::vector<uint32_t*>;  // the slots that name the blocks on the way to a prefix, from the root

  FibWriter(Family family, uint32_t max_blocks, Slots root, Slots blocks)
      : family_(family), max_blocks_(max_blocks), root_(std::move(root)), blocks_(std::move(blocks)) {}
  static absl::StatusOr<Slots> map(size_t slots);

  unsigned root_bits() const { return family_ == Family::kV4 ? 24 : 16; }
  unsigned levels(const net::Prefix& prefix) const;
  uint32_t* root_slot(const net::Prefix& prefix) const;
  uint8_t next_bits(const net::Prefix& prefix, unsigned level) const;
  uint32_t* block(uint32_t slot) const;
  Path descend(const net::Prefix& prefix, unsigned levels) const;
  std::span<uint32_t> own_slots(const net::Prefix& prefix, const Path& path) const;
  void make_block(uint32_t* slot);
  void overwrite(std::span<uint32_t> slots, unsigned longest, uint32_t value);
  void take_over(std::span<uint32_t> slots, unsigned length, uint32_t value);
  bool collapse(uint32_t* slot, unsigned bits_above);

  Family family_;
  uint32_t max_blocks_;
  Slots root_;
  Slots blocks_;
  std::vector<uint32_t> free_;
  uint32_t unused_ = 0;  // from here on none has been used yet
  uint32_t in_use_ = 0;
};

}  // namespace guideway::control
