// Which row of `services` a VIP has: words in lines of 64 bytes, as shared.h has them, which BPF programs read
// meanwhile. A VIP's word stays at its place as long as it stands. Memory only.
#pragma once

#include <cstdint>
#include <span>

#include "xdp/shared.h"

namespace guideway::xdp {

uint64_t hash_of(const gw_vip_key& vip);

class VipLines {
 public:
  VipLines() = default;
  // GW_VIP_LINES of them, empty. `rows`: all that there may be.
  VipLines(std::span<uint64_t> words, const gw_served* rows) : words_(words), rows_(rows) {}

  // The VIP of this row goes by it from now on, and no longer by the one that it had. False: there is no room near its
  // line.
  bool put(uint32_t row);
  // The VIP of this row is gone, unless it goes by another by now.
  void erase(uint32_t row);

 private:
  std::span<uint64_t> words_;
  const gw_served* rows_ = nullptr;
};

}  // namespace guideway::xdp
