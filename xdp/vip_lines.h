// Where BPF programs find a VIP's row: words in lines of 64 bytes, as shared.h has them, which programs read meanwhile.
// What stands in it all the time they find. Memory only.
#pragma once

#include <cstdint>
#include <span>

#include "xdp/shared.h"

namespace guideway::xdp {

// The word of the VIP in a row of `services`.
uint64_t vip_word(const gw_vip_key& vip, uint32_t row);

class VipLines {
 public:
  VipLines() = default;
  // GW_VIP_LINES of them, empty.
  explicit VipLines(std::span<uint64_t> words) : words_(words) {}

  // False: there is no room near its line.
  bool insert(uint64_t word);
  // Of one that stands there.
  void erase(uint64_t word);

 private:
  // The first place from the word's line on whose word is `wanted`, or null.
  template <typename Wanted>
  uint64_t* find(uint64_t word, Wanted wanted) const;

  std::span<uint64_t> words_;
};

}  // namespace guideway::xdp
