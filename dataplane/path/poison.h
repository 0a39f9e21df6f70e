// In builds with AddressSanitizer, what isn't the packet's own in its buffer is poisoned while the stages read it: all
// mbufs of a pool lie in one mapping, so that a read past a packet's end wouldn't be seen otherwise. Elsewhere this is
// nothing. Whoever gives an mbuf away (to a ring or to its pool), or lets it grow, makes it whole before.
#pragma once

#include <rte_mbuf.h>

#include <cstddef>
#include <cstdint>

#include "dataplane/path/burst.h"

#ifdef __SANITIZE_ADDRESS__
#define GW_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GW_POISON 1
#endif
#endif
#ifdef GW_POISON
#include <sanitizer/asan_interface.h>
#endif

namespace guideway::path {

#ifdef GW_POISON
// All of the buffer but [data, data + data_len).
inline void poison(const rte_mbuf* m) {
  const auto* buffer = static_cast<const uint8_t*>(m->buf_addr);
  __asan_poison_memory_region(buffer, m->data_off);
  const size_t end = size_t{m->data_off} + m->data_len;
  __asan_poison_memory_region(buffer + end, m->buf_len - end);
}
inline void make_whole(const rte_mbuf* m) { __asan_unpoison_memory_region(m->buf_addr, m->buf_len); }
#else
inline void poison(const rte_mbuf*) {}
inline void make_whole(const rte_mbuf*) {}
#endif

// Before the first stage that writes: from there on packets grow, are cut and replaced.
inline void make_whole([[maybe_unused]] Burst& burst) {
#ifdef GW_POISON
  for (const Packet& p : burst.all())
    if (p.fate != Fate::kHandedOver && p.fate != Fate::kWaits) make_whole(p.mbuf);
#endif
}

}  // namespace guideway::path
