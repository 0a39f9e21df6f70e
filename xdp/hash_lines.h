// A set of 64-bit hashes in lines of 64 bytes that BPF programs read meanwhile. What stands in it all the time they
// find, but for one that just then is moved to a line that they have looked at. Memory only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "xdp/shared.h"

namespace guideway::xdp {

class HashLines {
 public:
  HashLines() = default;
  // Empty ones: a power of two of lines, and more than GW_DENIED_WAY.
  explicit HashLines(std::span<uint64_t> words) : words_(words), lines_(words.size() / GW_DENIED_PLACES) {}

  // False: there is no room near its line. Hashes aren't 0.
  bool insert(uint64_t hash);
  void erase(uint64_t hash);
  bool contains(uint64_t hash) const;

 private:
  using Line = std::span<uint64_t, GW_DENIED_PLACES>;
  Line line(size_t i) const { return Line(&words_[i % lines_ * GW_DENIED_PLACES], GW_DENIED_PLACES); }
  bool full(size_t i) const { return line(i).back() != 0; }
  // Null: it isn't there.
  static uint64_t* find(Line line, uint64_t hash);
  void fill_hole(size_t at, uint64_t* hole);

  std::span<uint64_t> words_;
  size_t lines_ = 0;
};

}  // namespace guideway::xdp
