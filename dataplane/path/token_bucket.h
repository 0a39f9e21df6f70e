// A limit of so many events a second, filled a little at each housekeeping.
#pragma once

#include <algorithm>
#include <cstdint>

namespace guideway::path {

class TokenBucket {
 public:
  // A token, if there is one.
  bool take() {
    if (empty()) return false;
    thousandths_ -= kToken;
    return true;
  }
  bool empty() const { return thousandths_ < kToken; }
  // What that time brings. A twentieth of a second's worth is kept, and at least one.
  void refill(uint32_t a_second, uint32_t milliseconds) {
    thousandths_ =
        std::min(thousandths_ + uint64_t{a_second} * milliseconds, std::max(uint64_t{a_second} * kToken / 20, kToken));
  }

 private:
  static constexpr uint64_t kToken = 1'000;
  uint64_t thousandths_ = 0;
};

}  // namespace guideway::path
