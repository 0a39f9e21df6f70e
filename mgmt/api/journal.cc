#include "mgmt/api/journal.h"

#include <utility>

namespace guideway::mgmt {

void Journal::put(const std::string& key, std::string bytes) {
  auto& row = *rows_.try_emplace(key).first;
  if (!row.second.gone && row.second.bytes == bytes) return;
  gone_.erase(row.second.count);
  row.second.gone = false;
  row.second.bytes = std::move(bytes);
  touch(row);
}

void Journal::remove(const std::string& key) {
  const auto row = rows_.find(key);
  if (row == rows_.end() || row->second.gone) return;
  row->second.gone = true;
  row->second.bytes = {};
  touch(*row);
  gone_[end_] = &*row;
  forget_some();
}

void Journal::touch(Rows::value_type& row) {
  order_.erase(row.second.count);
  row.second.count = ++end_;
  order_[end_] = &row;
}

void Journal::forget_some() {
  while (gone_.size() > tombstones_) {
    const auto [count, row] = *gone_.begin();
    forgotten_ = count;
    gone_.erase(gone_.begin());
    order_.erase(count);
    rows_.erase(rows_.find(row->first));
  }
}

}  // namespace guideway::mgmt
