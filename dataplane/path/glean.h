// Addresses on a link of ours that a worker couldn't send to, for nobody has told their MAC address: control takes them
// and asks the kernel. A ring with one writer, the worker, and one reader. What finds it full isn't told; the next
// packet tells again.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "net/address.h"

namespace guideway::path {

class Glean {
 public:
  static constexpr uint32_t kSize = 64;

  void tell(const net::IpAddress& address) {
    const uint32_t head = head_.load(std::memory_order_relaxed);
    const uint32_t waiting = head - tail_.load(std::memory_order_acquire);
    if (waiting == kSize || (waiting > 0 && addresses_[(head - 1) % kSize] == address)) return;
    addresses_[head % kSize] = address;
    head_.store(head + 1, std::memory_order_release);
  }

  std::optional<net::IpAddress> take() {
    const uint32_t tail = tail_.load(std::memory_order_relaxed);
    if (tail == head_.load(std::memory_order_acquire)) return std::nullopt;
    const net::IpAddress address = addresses_[tail % kSize];
    tail_.store(tail + 1, std::memory_order_release);
    return address;
  }

 private:
  std::array<net::IpAddress, kSize> addresses_{};
  alignas(64) std::atomic<uint32_t> head_{0};
  alignas(64) std::atomic<uint32_t> tail_{0};
};

}  // namespace guideway::path
