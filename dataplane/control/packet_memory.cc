// Maps the packets' memory and lays the mbuf pool over it.
#include "dataplane/control/packet_memory.h"

#include <absl/strings/str_cat.h>
#include <rte_errno.h>
#include <rte_mbuf_pool_ops.h>

#include <cerrno>
#include <cstdint>

#ifndef MADV_POPULATE_WRITE  // Linux 5.14, newer than Debian 12's libc headers
#define MADV_POPULATE_WRITE 23
#endif

namespace guideway::control {
namespace {

constexpr size_t kPage = size_t{2} << 20;  // of huge pages; the memory is a multiple of it in any case

std::byte* map(size_t size, int flags) {
  void* p = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  return p == MAP_FAILED ? nullptr : static_cast<std::byte*>(p);
}

// Faults the pages in now, not under the first packets. On an older kernel they come when the socket pins them.
bool populate(std::byte* p, size_t size) { return madvise(p, size, MADV_POPULATE_WRITE) == 0 || errno == EINVAL; }

}  // namespace

std::string_view to_string(Backing backing) {
  switch (backing) {
    case Backing::kHugePages:
      return "huge pages";
    case Backing::kTransparentHugePages:
      return "transparent huge pages";
    case Backing::kSmallPages:
      return "small pages";
  }
  return "";
}

PacketMemory::Mapping PacketMemory::map_huge(size_t size) {
  return Mapping{map(size, MAP_HUGETLB | 21 << MAP_HUGE_SHIFT | MAP_POPULATE), Unmap{size}};
}

PacketMemory::Mapping PacketMemory::map_plain(size_t size) {
  std::byte* p = map(size + kPage, 0);
  if (p == nullptr) return {};
  const size_t before = -reinterpret_cast<uintptr_t>(p) & (kPage - 1);
  if (before != 0) munmap(p, before);
  if (before != kPage) munmap(p + before + size, kPage - before);
  return Mapping{p + before, Unmap{size}};
}

absl::StatusOr<PacketMemory> PacketMemory::create(const char* name, size_t frames, unsigned cache, bool huge_pages) {
  const size_t size = (frames * path::kFrameSize + kPage - 1) & ~(kPage - 1);
  PacketMemory m;
  if (huge_pages) m.mapping_ = map_huge(size);
  m.backing_ = Backing::kHugePages;
  if (m.mapping_ == nullptr) {
    m.mapping_ = map_plain(size);
    const bool transparent = m.mapping_ != nullptr && madvise(m.mapping_.get(), size, MADV_HUGEPAGE) == 0;
    m.backing_ = transparent ? Backing::kTransparentHugePages : Backing::kSmallPages;
  }
  if (m.mapping_ == nullptr || !populate(m.mapping_.get(), size))
    return absl::ResourceExhaustedError(absl::StrCat("no ", size >> 20, " MB of memory for ", frames,
                                                     " packets: free some, or take fewer ports or queues"));

  const size_t count = size / path::kFrameSize;
  m.pool_.reset(rte_mempool_create_empty(name, static_cast<unsigned>(count), path::kElementSize, cache,
                                         sizeof(rte_pktmbuf_pool_private), SOCKET_ID_ANY,
                                         RTE_MEMPOOL_F_NO_SPREAD | RTE_MEMPOOL_F_NO_IOVA_CONTIG));
  if (m.pool_ == nullptr)
    return absl::ResourceExhaustedError(
        absl::StrCat("can't make the pool of ", count, " mbufs: ", rte_strerror(rte_errno), "; free some memory"));
  rte_mempool* pool = m.pool_.get();
  rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), nullptr);
  rte_pktmbuf_pool_private sizes{};
  sizes.mbuf_data_room_size = path::kBufferSize;
  rte_pktmbuf_pool_init(pool, &sizes);
  const int populated =
      rte_mempool_populate_virt(pool, reinterpret_cast<char*>(m.mapping_.get()), size, kPage, nullptr, nullptr);
  if (populated != static_cast<int>(count))
    return absl::InternalError(
        absl::StrCat("the pool took ", populated, " of ", count, " mbufs: DPDK lays them out in another way"));
  rte_mempool_obj_iter(pool, rte_pktmbuf_init, nullptr);
  return m;
}

}  // namespace guideway::control
