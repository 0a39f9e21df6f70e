// A worker's counters: it alone writes them, control reads them whenever it likes.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "net/drop_reason.h"

namespace guideway::path {

// One writer, so no locked instruction is needed.
class Counter {
 public:
  void add(uint64_t n) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  void subtract(uint64_t n) { add(-n); }
  void set(uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  uint64_t read() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

struct alignas(64) Counters {
  Counter tick;  // the worker's clock: seconds, as its connections are timed in
  Counter rounds;
  Counter received;
  Counter sent;
  Counter handed_over;
  Counter connections4;
  Counter connections6;
  Counter datagrams;          // in fragments, that are followed now
  Counter snat_destinations;  // that ports are taken towards now
  std::array<Counter, net::kDropReasons> drops;
};

}  // namespace guideway::path
