#include "xdp/vip_lines.h"

#include <array>
#include <bit>

#include "xdp/place.h"

namespace guideway::xdp {

namespace {

using Key = std::array<__u64, 3>;

Key key_of(const gw_served& row) { return std::bit_cast<Key>(row.vip); }
uint32_t row_of(uint64_t word) { return word & ((1U << GW_VIP_ROW_BITS) - 1); }

// The places where the word of this hash may stand, near ones first, until `visit` gives true.
template <typename Visit>
void walk(std::span<uint64_t> words, uint64_t hash, Visit visit) {
  for (uint32_t i = 0; i < GW_VIP_WAY; ++i)
    for (uint64_t& place : words.subspan(size_t{gw_vip_line(hash, i)} * GW_VIP_PLACES, GW_VIP_PLACES))
      if (visit(place)) return;
}

}  // namespace

uint64_t hash_of(const gw_vip_key& vip) { return gw_vip_hash(std::bit_cast<Key>(vip).data()); }

bool VipLines::put(uint32_t row) {
  const Key key = key_of(rows_[row]);
  const uint64_t hash = hash_of(rows_[row].vip);
  uint64_t* own = nullptr;
  uint64_t* room = nullptr;
  walk(words_, hash, [&](uint64_t& place) {
    if (place <= GW_VIP_GONE)
      room = room != nullptr ? room : &place;
    else if ((place ^ hash) >> GW_VIP_ROW_BITS == 0 && key_of(rows_[row_of(place)]) == key)
      own = &place;
    return own != nullptr || place == 0;
  });
  uint64_t* const place = own != nullptr ? own : room;
  if (place != nullptr) set_place(*place, hash | row);
  return place != nullptr;
}

void VipLines::erase(uint32_t row) {
  const uint64_t word = hash_of(rows_[row].vip) | row;
  walk(words_, word, [&](uint64_t& place) {
    if (place == word) set_place(place, GW_VIP_GONE);
    return place == 0;
  });
}

}  // namespace guideway::xdp
