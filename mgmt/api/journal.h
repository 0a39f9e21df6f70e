// Rows that come, change and go, in the order of their last change: what watches are told from. Whoever knows it up to
// some count needs only the rows that changed since, each once, in the form that it has now. So nothing is queued for
// anybody, and who is slow gets the sum of what it missed. Knows nothing of gRPC, threads or what a row says.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>

namespace guideway::mgmt {

class Journal {
 public:
  // Of rows that are gone, so many are remembered: the last ones.
  explicit Journal(size_t tombstones) : tombstones_(tombstones) {}

  // Counts if the row is new or other than it was.
  void put(const std::string& key, std::string row);
  void remove(const std::string& key);

  // How far a reader knows it.
  struct Position {
    uint64_t told = 0;         // the count of the last change that it was told
    uint64_t gone_before = 0;  // of what went before that count it has never heard
  };
  // That of a reader who knows nothing.
  Position beginning() const { return {0, end_}; }
  // Whether everything that it must be told is remembered.
  bool reaches_back_to(const Position& p) const {
    return std::max(p.told, p.gone_before) >= forgotten_ && p.told <= end_;
  }

  struct Change {
    const std::string& key;
    const std::string* row;  // null: it is gone
  };
  // Calls `visit(Change)` for what the reader doesn't know, in order, until it returns false, and moves it on.
  template <typename Visit>
  void tell(Position& reader, Visit visit) const {
    for (auto it = order_.upper_bound(reader.told); it != order_.end(); ++it) {
      const auto& [key, row] = *it->second;
      const bool unheard_of = row.gone && row.count <= reader.gone_before;
      if (!unheard_of && !visit(Change{key, row.gone ? nullptr : &row.bytes})) return;
      reader.told = row.count;
    }
  }

 private:
  struct Row {
    std::string bytes;
    uint64_t count = 0;
    bool gone = true;
  };
  using Rows = std::unordered_map<std::string, Row>;
  void touch(Rows::value_type& row);
  void forget_some();

  const size_t tombstones_;
  Rows rows_;                                    // also those that are gone
  std::map<uint64_t, Rows::value_type*> order_;  // all of them, by their count
  std::map<uint64_t, Rows::value_type*> gone_;   // those that are gone
  uint64_t end_ = 0;
  uint64_t forgotten_ = 0;  // the count of the last removal that isn't remembered
};

}  // namespace guideway::mgmt
