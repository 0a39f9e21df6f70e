#include "dataplane/control/routing/fib_writer.h"

#include <absl/strings/str_cat.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

#include "log/trouble.h"

namespace guideway::control {
namespace {

using path::FibTable;
using path::RouteIndex;

uint32_t slot_of(FibOwner owner) {
  if (owner.index == path::kNoRoute) return 0;
  return static_cast<uint32_t>(owner.length - 1) << 24 | static_cast<uint32_t>(owner.index);
}

// Length of the prefix that wrote the slot; 0 if none did.
unsigned owner_length(uint32_t slot) { return slot == 0 ? 0 : (slot >> 24) + 1; }

}  // namespace

void FibWriter::Unmap::operator()(uint32_t* p) const { munmap(p, bytes); }

absl::StatusOr<FibWriter::Slots> FibWriter::map(size_t slots) {
  const size_t bytes = slots * sizeof(uint32_t);
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return log::system_failure(errno, absl::StrCat("cannot map ", bytes, " bytes for routes"));
  return Slots(static_cast<uint32_t*>(p), Unmap{bytes});
}

absl::StatusOr<FibWriter> FibWriter::create(Family family, uint32_t max_blocks) {
  if (max_blocks == 0 || max_blocks > FibTable::kNumber)
    return log::failure(absl::StatusCode::kInvalidArgument, absl::StrCat("blocks of routes: ", max_blocks),
                        absl::StrCat("give 1 to ", +FibTable::kNumber));
  auto root = map(size_t{1} << (family == Family::kV4 ? 24 : 16));
  if (!root.ok()) return root.status();
  auto blocks = map(max_blocks * FibTable::kBlockSlots);
  if (!blocks.ok()) return blocks.status();
  return FibWriter(family, max_blocks, *std::move(root), *std::move(blocks));
}

// Blocks between the root and the prefix's own slots.
unsigned FibWriter::levels(const net::Prefix& prefix) const {
  return prefix.length <= root_bits() ? 0 : (prefix.length - root_bits() + 7) / 8;
}

uint32_t* FibWriter::root_slot(const net::Prefix& prefix) const {
  const auto& b = prefix.address.bytes;
  const size_t at =
      family_ == Family::kV4 ? size_t{b[12]} << 16 | size_t{b[13]} << 8 | b[14] : size_t{b[0]} << 8 | b[1];
  return root_.get() + at;
}

// The 8 bits that pick a slot in the block of that level; the first is level 0.
uint8_t FibWriter::next_bits(const net::Prefix& prefix, unsigned level) const {
  return prefix.address.bytes[family_ == Family::kV4 ? 15 : 2 + level];
}

uint32_t* FibWriter::block(uint32_t slot) const {
  return blocks_.get() + (slot & FibTable::kNumber) * FibTable::kBlockSlots;
}

// As far as there are blocks: fewer than `levels` + 1 slots if some are missing. The last slot is that in which the
// prefix begins, if the path is whole.
FibWriter::Path FibWriter::descend(const net::Prefix& prefix, unsigned levels) const {
  Path path{root_slot(prefix)};
  for (unsigned level = 0; level < levels && FibTable::is_block(*path.back()); ++level)
    path.push_back(block(*path.back()) + next_bits(prefix, level));
  return path;
}

std::span<uint32_t> FibWriter::own_slots(const net::Prefix& prefix, const Path& path) const {
  const unsigned bits = root_bits() + 8 * static_cast<unsigned>(path.size() - 1);
  return {path.back(), size_t{1} << (bits - prefix.length)};
}

void FibWriter::make_block(uint32_t* slot) {
  uint32_t number = unused_;
  if (free_.empty()) {
    ++unused_;
  } else {
    number = free_.back();
    free_.pop_back();
  }
  ++in_use_;
  std::fill_n(blocks_.get() + number * FibTable::kBlockSlots, FibTable::kBlockSlots, *slot);
  *slot = FibTable::kIsBlock | number;
}

// Slots whose owner isn't longer than `longest`, in these and all blocks below.
void FibWriter::overwrite(std::span<uint32_t> slots, unsigned longest, uint32_t value) {
  for (uint32_t& slot : slots) {
    if (FibTable::is_block(slot))
      overwrite({block(slot), FibTable::kBlockSlots}, longest, value);
    else if (owner_length(slot) <= longest)
      slot = value;
  }
}

// Slots whose owner is of exactly this length: within a prefix's own slots, the prefix itself.
void FibWriter::take_over(std::span<uint32_t> slots, unsigned length, uint32_t value) {
  for (uint32_t& slot : slots) {
    if (FibTable::is_block(slot))
      take_over({block(slot), FibTable::kBlockSlots}, length, value);
    else if (owner_length(slot) == length)
      slot = value;
  }
}

// Puts the block's content into the slot that names it if all of it is of one prefix that ends above the block.
bool FibWriter::collapse(uint32_t* slot, unsigned bits_above) {
  const std::span<const uint32_t> content(block(*slot), FibTable::kBlockSlots);
  const uint32_t first = content.front();
  if (FibTable::is_block(first) || owner_length(first) > bits_above) return false;
  if (!std::all_of(content.begin(), content.end(), [&](uint32_t s) { return s == first; })) return false;
  free_.push_back(*slot & FibTable::kNumber);
  --in_use_;
  *slot = first;
  return true;
}

bool FibWriter::add(const net::Prefix& prefix, RouteIndex index) {
  const unsigned depth = levels(prefix);
  Path path = descend(prefix, depth);
  const auto missing = static_cast<uint32_t>(depth + 1 - path.size());
  if (missing > max_blocks_ - in_use_) return false;
  while (path.size() < depth + 1) {
    make_block(path.back());
    path.push_back(block(*path.back()) + next_bits(prefix, static_cast<unsigned>(path.size() - 1)));
  }
  overwrite(own_slots(prefix, path), prefix.length, slot_of({index, prefix.length}));
  return true;
}

void FibWriter::remove(const net::Prefix& prefix, FibOwner parent) {
  Path path = descend(prefix, levels(prefix));
  take_over(own_slots(prefix, path), prefix.length, slot_of(parent));
  for (size_t level = path.size() - 1; level-- > 0;)
    if (!collapse(path[level], root_bits() + 8 * static_cast<unsigned>(level))) return;
}

}  // namespace guideway::control
