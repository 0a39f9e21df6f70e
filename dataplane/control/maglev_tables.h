// All Maglev tables in one array of 16-bit slots. Services whose tables are built from the same input share one.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "dataplane/control/memory.h"
#include "dataplane/control/reclaim.h"
#include "dataplane/path/index.h"
#include "lb/selection.h"

namespace guideway::control {

// Where the array lies if it isn't the process' own: zeroed slots, of which so many are there once `provide` has
// returned true.
struct SlotMemory {
  uint16_t* base = nullptr;
  std::function<bool(size_t slots)> provide;
};

class MaglevTables {
 public:
  // 10,000 services with tables of 16,381 slots each.
  static constexpr uint32_t kSlots = 176'000'000;
  struct Table {
    uint32_t offset = 0;
    lb::TableInput input;
    uint32_t size() const { return input.size; }
  };
  using TableRef = std::shared_ptr<const Table>;

  // Room for twice `slots` is reserved: a table is built while its predecessor is still read, and freed ranges are only
  // used again for tables of their size.
  static absl::StatusOr<std::unique_ptr<MaglevTables>> create(Reclaimer& reclaimer, uint32_t slots = kSlots,
                                                              SlotMemory memory = {});

  // Builds them, side by side on the cores that control may use, or finds equal ones. Null if the array is full. Their
  // slots are free again once the last reference is gone and all workers have passed.
  std::vector<TableRef> build(std::vector<lb::TableInput> inputs);
  TableRef build(lb::TableInput input) { return build(std::vector{std::move(input)}).front(); }

  std::span<uint16_t> slots(uint32_t offset, uint32_t size) { return {memory_.base + offset, size}; }
  std::span<uint16_t> slots(const Table& t) { return slots(t.offset, t.size()); }
  const uint16_t* base() const { return memory_.base; }
  uint64_t slots_used() const { return used_; }
  uint64_t builds() const { return builds_; }

 private:
  MaglevTables(Mapping array, SlotMemory memory, uint32_t reserved, Reclaimer& reclaimer)
      : array_(std::move(array)), memory_(std::move(memory)), reserved_(reserved), reclaimer_(reclaimer) {}
  TableRef find(const lb::TableInput& input, uint64_t digest) const;
  // Its slots are yet to be filled.
  TableRef add(lb::TableInput input, uint64_t digest);
  bool allocate(uint32_t size, uint32_t* offset);
  void release(const Table& t);

  Mapping array_;  // if it is our own
  SlotMemory memory_;
  uint32_t reserved_;  // slots
  Reclaimer& reclaimer_;
  uint32_t end_ = 0;                                // beyond it nothing was ever used
  std::map<uint32_t, std::vector<uint32_t>> free_;  // size → offsets: sizes are few, so nothing is ever split
  std::unordered_multimap<uint64_t, std::weak_ptr<const Table>> by_digest_;
  uint64_t used_ = 0;
  uint64_t builds_ = 0;
};

// What the slots of a service mean: a table, perhaps shared, and the service's own reals by ordinal; and what asks it.
struct BuiltTable {
  MaglevTables::TableRef table;  // none without a backend
  std::shared_ptr<const std::vector<path::RealIndex>> ordinals;
  uint64_t seed = 0;
  bool affinity = false;  // by the hash of the client's address alone

  bool operator==(const BuiltTable& other) const {
    return table == other.table && seed == other.seed && affinity == other.affinity && ordinals != nullptr &&
           other.ordinals != nullptr && *ordinals == *other.ordinals;
  }
};

}  // namespace guideway::control
