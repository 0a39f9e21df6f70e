#include "xdp/vip_lines.h"

#include <array>
#include <atomic>
#include <bit>

namespace guideway::xdp {

namespace {

// Programs may be reading it, and then read the row that it names; nobody else writes.
void set(uint64_t& place, uint64_t word) { std::atomic_ref(place).store(word, std::memory_order_release); }

}  // namespace

uint64_t vip_word(const gw_vip_key& vip, uint32_t row) {
  return gw_vip_hash(std::bit_cast<std::array<__u64, 3>>(vip).data()) | row;
}

template <typename Wanted>
uint64_t* VipLines::find(uint64_t word, Wanted wanted) const {
  for (uint32_t i = 0; i < GW_VIP_WAY; ++i)
    for (uint64_t& place : words_.subspan(size_t{gw_vip_line(word, i)} * GW_VIP_PLACES, GW_VIP_PLACES))
      if (wanted(place)) return &place;
  return nullptr;
}

bool VipLines::insert(uint64_t word) {
  uint64_t* const place = find(word, [](uint64_t w) { return w == 0 || w == GW_VIP_GONE; });
  if (place != nullptr) set(*place, word);
  return place != nullptr;
}

void VipLines::erase(uint64_t word) {
  if (uint64_t* const place = find(word, [word](uint64_t w) { return w == word; })) set(*place, GW_VIP_GONE);
}

}  // namespace guideway::xdp
