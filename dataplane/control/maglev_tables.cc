#include "dataplane/control/maglev_tables.h"

#include <utility>

namespace guideway::control {

absl::StatusOr<std::unique_ptr<MaglevTables>> MaglevTables::create(Reclaimer& reclaimer) {
  auto array = reserve_memory(size_t{kReserved} * sizeof(uint16_t), "Maglev tables");
  if (!array.ok()) return array.status();
  return std::unique_ptr<MaglevTables>(new MaglevTables(std::move(*array), reclaimer));
}

bool MaglevTables::allocate(uint32_t size, uint32_t* offset) {
  if (auto it = free_.find(size); it != free_.end() && !it->second.empty()) {
    *offset = it->second.back();
    it->second.pop_back();
    return true;
  }
  if (kReserved - end_ < size) return false;
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
  reclaimer_.later([this, size = t.size(), offset = t.offset] {
    free_[size].push_back(offset);
    used_ -= size;
  });
}

MaglevTables::TableRef MaglevTables::build(lb::TableInput input) {
  const uint64_t digest = lb::digest(input);
  const auto [first, last] = by_digest_.equal_range(digest);
  for (auto it = first; it != last; ++it)
    if (TableRef t = it->second.lock(); t != nullptr && t->input == input) return t;

  uint32_t offset;
  if (!allocate(input.size, &offset)) return nullptr;
  used_ += input.size;
  ++builds_;
  const TableRef t(new Table{offset, std::move(input)}, [this](const Table* old) {
    release(*old);
    delete old;
  });
  lb::build_maglev(t->input.reals, slots(*t));
  by_digest_.emplace(digest, t);
  return t;
}

}  // namespace guideway::control
