// A word that BPF programs may be reading while we, and nobody else, write it.
#pragma once

#include <atomic>
#include <cstdint>

namespace guideway::xdp {

// What was written before is there for who reads it.
inline void set_place(uint64_t& place, uint64_t word) { std::atomic_ref(place).store(word, std::memory_order_release); }

}  // namespace guideway::xdp
