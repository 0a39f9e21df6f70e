#include "dataplane/control/maglev_tables.h"

#include <atomic>
#include <utility>

#include "dataplane/control/eal.h"

namespace guideway::control {

absl::StatusOr<std::unique_ptr<MaglevTables>> MaglevTables::create(Reclaimer& reclaimer, uint32_t slots,
                                                                   SlotMemory memory) {
  const uint32_t reserved = 2 * slots;
  Mapping own;
  if (memory.base == nullptr) {
    auto array = reserve_memory(size_t{reserved} * sizeof(uint16_t), "Maglev tables");
    if (!array.ok()) return array.status();
    own = std::move(*array);
    memory = {own.as<uint16_t>(reserved).data(), [](size_t) { return true; }};
  }
  return std::unique_ptr<MaglevTables>(new MaglevTables(std::move(own), std::move(memory), reserved, reclaimer));
}

bool MaglevTables::allocate(uint32_t size, uint32_t* offset) {
  if (auto it = free_.find(size); it != free_.end() && !it->second.empty()) {
    *offset = it->second.back();
    it->second.pop_back();
    return true;
  }
  if (reserved_ - end_ < size || !memory_.provide(size_t{end_} + size)) return false;
  *offset = std::exchange(end_, end_ + size);
  return true;
}

void MaglevTables::release(const Table& t) {
  const auto [first, last] = by_digest_.equal_range(lb::digest(t.input));
  for (auto it = first; it != last; ++it)
    if (it->second.expired()) {
      by_digest_.erase(it);
      break;
    }
  used_ -= t.size();
  reclaimer_.later([this, size = t.size(), offset = t.offset] { free_[size].push_back(offset); });
}

MaglevTables::TableRef MaglevTables::find(const lb::TableInput& input, uint64_t digest) const {
  const auto [first, last] = by_digest_.equal_range(digest);
  for (auto it = first; it != last; ++it)
    if (TableRef t = it->second.lock(); t != nullptr && t->input == input) return t;
  return nullptr;
}

MaglevTables::TableRef MaglevTables::add(lb::TableInput input, uint64_t digest) {
  uint32_t offset;
  if (!allocate(input.size, &offset)) return nullptr;
  used_ += input.size;
  ++builds_;
  const TableRef t(new Table{offset, std::move(input)}, [this](const Table* old) {
    release(*old);
    delete old;
  });
  by_digest_.emplace(digest, t);
  return t;
}

std::vector<MaglevTables::TableRef> MaglevTables::build(std::vector<lb::TableInput> inputs) {
  std::vector<TableRef> tables;
  std::vector<const Table*> fresh;
  for (lb::TableInput& input : inputs) {
    const uint64_t digest = lb::digest(input);
    TableRef t = find(input, digest);
    if (t == nullptr) {
      t = add(std::move(input), digest);
      if (t != nullptr) fresh.push_back(t.get());
    }
    tables.push_back(std::move(t));
  }
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < fresh.size();)
      lb::build_maglev(fresh[i]->input.reals, slots(*fresh[i]));
  };
  fresh.size() > 1 ? on_control_cores(work) : work();
  return tables;
}

}  // namespace guideway::control
