// The rows of one kind that control keeps and workers read: indices are given out here, a chunk is copied before its
// first change since the last publication, and the copy that workers may still read is handed to the reclaimer.
#pragma once

#include <algorithm>
#include <memory>
#include <unordered_set>
#include <utility>
#include <vector>

#include "dataplane/control/reclaim.h"
#include "dataplane/path/tables.h"

namespace guideway::path {

// The only one that may look into Rows.
class ChunkWriter {
 public:
  template <typename Index, typename Row>
  static auto& chunks(Rows<Index, Row>& rows) {
    return rows.chunks_;
  }
};

}  // namespace guideway::path

namespace guideway::control {

template <typename Index, typename Row>
class RowStore {
 public:
  RowStore() = default;
  RowStore(const RowStore&) = delete;
  RowStore& operator=(const RowStore&) = delete;
  ~RowStore() {
    for (Chunk* c : chunks()) delete c;
  }

  Index allocate() {
    if (!free_.empty()) {
      const Index i = free_.back();
      free_.pop_back();
      ++used_;
      return i;
    }
    if (next_ % Rows::kChunk == 0) {
      chunks().push_back(new Chunk);
      fresh_.insert(chunks().size() - 1);
    }
    ++used_;
    return static_cast<Index>(next_++);
  }

  // Rows that an earlier engine has given out, before any other; those between are free.
  void claim(const std::vector<Index>& rows) {
    const std::unordered_set<Index> taken(rows.begin(), rows.end());
    const Index end =
        rows.empty() ? Index{} : static_cast<Index>(static_cast<uint32_t>(*std::ranges::max_element(rows)) + 1);
    std::vector<Index> between;
    while (static_cast<Index>(next_) < end)
      if (const Index i = allocate(); !taken.contains(i)) between.push_back(i);
    for (const Index i : between) release(i);
  }

  // Only once no connection entry and no published row names it.
  void release(Index i) {
    free_.push_back(i);
    --used_;
  }

  const Row& operator[](Index i) const { return rows_[i]; }

  // The row, to be changed; workers see it with the next publication.
  Row& edit(Index i, Reclaimer& reclaimer) {
    const auto n = static_cast<uint32_t>(i);
    const size_t at = n / Rows::kChunk;
    if (edited_.empty() || edited_.back() != i) edited_.push_back(i);
    Chunk*& chunk = chunks()[at];
    if (fresh_.insert(at).second) {
      Chunk* old = std::exchange(chunk, new Chunk(*chunk));
      reclaimer.later([old] { delete old; });
    }
    return chunk->rows[n % Rows::kChunk];
  }

  // What the next Tables hold. From here on the chunks are the workers', and changes go to copies.
  const path::Rows<Index, Row>& publish() {
    fresh_.clear();
    edited_.clear();
    return rows_;
  }

  // Since the last publication; some more than once.
  const std::vector<Index>& edited() const { return edited_; }

  uint32_t used() const { return used_; }

 private:
  using Rows = path::Rows<Index, Row>;
  using Chunk = typename Rows::Chunk;
  std::vector<Chunk*>& chunks() { return path::ChunkWriter::chunks(rows_); }

  Rows rows_;
  std::unordered_set<size_t> fresh_;  // chunks that no worker has seen
  std::vector<Index> edited_;
  std::vector<Index> free_;
  uint32_t next_ = 0;
  uint32_t used_ = 0;
};

}  // namespace guideway::control
