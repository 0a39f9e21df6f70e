// The geometry that lets one memory be an mbuf pool and a UMEM at once: every 4096 bytes hold the mempool's object
// header, the mbuf and its buffer, so that a frame's address and its mbuf are told from each other by masks.
//
//   0        64         192                  448                                  4096
//   | header | rte_mbuf | kernel's headroom  | received packet ...                 |
//   |<- kFrameHeadroom->|<- the mbuf's buffer, kBufferSize ----------------------->|
#pragma once

#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <cstddef>
#include <cstdint>

namespace guideway::path {

inline constexpr size_t kFrameSize = 4096;
inline constexpr size_t kObjectHeader = RTE_CACHE_LINE_SIZE;  // what a mempool puts before an element
inline constexpr size_t kFrameHeadroom = kObjectHeader + sizeof(rte_mbuf);
inline constexpr size_t kElementSize = kFrameSize - kObjectHeader;
inline constexpr size_t kBufferSize = kFrameSize - kFrameHeadroom;
inline constexpr size_t kKernelHeadroom = 256;  // XDP_PACKET_HEADROOM: free bytes before a received packet
inline constexpr size_t kMaxPacket = kBufferSize - kKernelHeadroom;  // 3648: the longest that a socket receives
static_assert(sizeof(rte_mempool_objhdr) <= kObjectHeader && sizeof(rte_mbuf) == 2 * RTE_CACHE_LINE_SIZE);

// Memory and pool belong together; both outlive every queue.
struct FrameMemory {
  std::byte* base = nullptr;  // aligned to kFrameSize
  size_t size = 0;            // bytes, a multiple of kFrameSize
  rte_mempool* pool = nullptr;

  size_t frames() const { return size / kFrameSize; }
  // The mbuf of any address (offset from `base`) inside its frame.
  rte_mbuf* mbuf(uint64_t address) const {
    return reinterpret_cast<rte_mbuf*>(base + (address & ~uint64_t{kFrameSize - 1}) + kObjectHeader);
  }
  uint64_t frame_address(const rte_mbuf* m) const {
    return static_cast<uint64_t>(reinterpret_cast<const std::byte*>(m) - base) - kObjectHeader;
  }
  // A single, unshared buffer of ours whose packet lies inside it: what may be given to the kernel.
  bool is_sendable(const rte_mbuf* m) const {
    const uint64_t offset = reinterpret_cast<uintptr_t>(m) - reinterpret_cast<uintptr_t>(base);
    return offset < size && offset % kFrameSize == kObjectHeader && m->buf_addr == m + 1 && m->nb_segs == 1 &&
           m->next == nullptr && rte_mbuf_refcnt_read(m) == 1 && m->data_len >= RTE_ETHER_HDR_LEN &&
           size_t{m->data_off} + m->data_len <= kBufferSize;
  }
};

}  // namespace guideway::path
