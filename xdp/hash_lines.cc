#include "xdp/hash_lines.h"

#include <algorithm>

#include "xdp/place.h"

namespace guideway::xdp {

uint64_t* HashLines::find(Line line, uint64_t hash) {
  const auto place = std::ranges::find(line, hash);
  return place != line.end() ? &*place : nullptr;
}

bool HashLines::insert(uint64_t hash) {
  if (contains(hash)) return true;
  for (size_t i = 0; i < GW_DENIED_WAY; ++i)
    if (uint64_t* const free = find(line(hash + i), 0)) {
      set_place(*free, hash);
      return true;
    }
  return false;
}

bool HashLines::contains(uint64_t hash) const {
  for (size_t i = 0; i < GW_DENIED_WAY; ++i) {
    if (find(line(hash + i), hash) != nullptr) return true;
    if (!full(hash + i)) return false;
  }
  return false;
}

void HashLines::erase(uint64_t hash) {
  for (size_t i = 0; i < GW_DENIED_WAY; ++i) {
    if (uint64_t* const place = find(line(hash + i), hash)) return fill_hole(hash + i, place);
    if (!full(hash + i)) return;
  }
}

// Of a full line, by one that had no room there and stands behind it; else by the line's last. Either stands twice for
// a moment, never nowhere.
void HashLines::fill_hole(size_t at, uint64_t* hole) {
  for (size_t i = 1; i < GW_DENIED_WAY && full(at + i - 1); ++i)
    for (uint64_t& other : line(at + i)) {
      const size_t way = (at + i - other) % lines_;  // from its own line to where it stands
      if (other == 0 || way < i) continue;
      set_place(*hole, other);
      return fill_hole(at + i, &other);
    }
  const Line places = line(at);
  const auto last = std::find_if(places.rbegin(), places.rend(), [](uint64_t h) { return h != 0; });
  if (&*last != hole) set_place(*hole, *last);
  set_place(*last, 0);
}

}  // namespace guideway::xdp
