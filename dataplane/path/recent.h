// What workers have learnt of late that the kernel couldn't tell by Maglev's slot: a connection begun under a change of
// backends, or with its client's real. It stands in memory that the XDP program reads, until a sweep has made it an
// exception, so that an engine may be killed between the two.
//
//   line of 64 bytes, by the flow's hash: 4 × { check 64 | generation 32 | real 32 }      check = hash ^ what follows
//
// No lock: what two have written at once fits no hash. A line that is full loses one of its four for the new one.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/path/index.h"

namespace guideway::path {

class Recent {
 public:
  static constexpr size_t kWordsOfLine = 8;
  static constexpr size_t kPlaces = 4;

  // Lines, a power of two; zeroed.
  explicit Recent(std::span<uint64_t> words) : words_(words), mask_(words.size() / kWordsOfLine - 1) {}

  // By any worker. `hash`: the flow's, by the group's seed.
  void note(uint64_t hash, RealIndex real) {
    const uint64_t said = uint64_t{generation_.load(std::memory_order_relaxed)} << 32 | static_cast<uint32_t>(real);
    const size_t place = place_for(hash);
    check(hash, place).store(hash ^ said, std::memory_order_relaxed);
    value(hash, place).store(said, std::memory_order_relaxed);
    if (!any_.load(std::memory_order_relaxed)) any_.store(true, std::memory_order_relaxed);
  }

  // By control. Whether there was anything since it asked last.
  bool take_any() { return any_.exchange(false, std::memory_order_relaxed); }
  // From here on what is noted is of another generation. Gives its number.
  uint32_t begin_generation() { return generation_.fetch_add(1, std::memory_order_relaxed) + 1; }
  // What was noted in earlier ones.
  void forget_before(uint32_t generation) {
    for (size_t at = 1; at < words_.size(); at += 2) {
      std::atomic_ref value(words_[at]);
      uint64_t seen = value.load(std::memory_order_relaxed);
      if (seen != 0 && seen >> 32 < generation) value.compare_exchange_strong(seen, 0, std::memory_order_relaxed);
    }
  }

 private:
  std::atomic_ref<uint64_t> check(uint64_t hash, size_t place) const {
    return std::atomic_ref(words_[(hash & mask_) * kWordsOfLine + place * 2]);
  }
  std::atomic_ref<uint64_t> value(uint64_t hash, size_t place) const {
    return std::atomic_ref(words_[(hash & mask_) * kWordsOfLine + place * 2 + 1]);
  }
  // Its own, else a free one, else any.
  size_t place_for(uint64_t hash) const {
    size_t best = hash >> 62;
    for (size_t place = 0; place < kPlaces; ++place) {
      const uint64_t v = value(hash, place).load(std::memory_order_relaxed);
      if (v == 0)
        best = place;
      else if ((check(hash, place).load(std::memory_order_relaxed) ^ v) == hash)
        return place;
    }
    return best;
  }

  std::span<uint64_t> words_;
  size_t mask_;
  std::atomic<uint32_t> generation_{1};
  std::atomic<bool> any_{false};
};

}  // namespace guideway::path
