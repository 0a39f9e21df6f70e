// How many new flows a worker remembers in a time: tokens in a bucket. Above that, a flood of SYNs neither fills the
// connection table nor pushes out who is established.
#pragma once

#include <algorithm>
#include <cstdint>

namespace guideway::path {

class FloodGuard {
 public:
  // Every millisecond. `rate`: flows a second. What isn't used is kept for up to an eighth of a second, for flows come
  // in bursts.
  void refill(uint32_t rate) {
    const uint64_t most = std::max<uint64_t>(uint64_t{rate} * kFlow / 8, kFlow);
    tokens_ = std::min(most, tokens_ + rate);
  }
  // Whether one more may be remembered.
  bool admits() {
    if (tokens_ < kFlow) return false;
    tokens_ -= kFlow;
    return true;
  }

 private:
  static constexpr uint64_t kFlow = 1'000;  // tokens: a rate of one a second gives one token each millisecond
  uint64_t tokens_ = 0;
};

}  // namespace guideway::path
