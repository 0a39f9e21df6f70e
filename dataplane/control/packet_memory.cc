// Maps the packets' memory and lays the mbuf pool over it.
#include "dataplane/control/packet_memory.h"

#include <absl/strings/str_cat.h>
#include <rte_errno.h>
#include <rte_mbuf_pool_ops.h>

#include <utility>

#include "log/trouble.h"

namespace guideway::control {

namespace {

constexpr size_t kPage = size_t{2} << 20;  // the memory is a multiple of it, huge pages or not

}  // namespace

absl::StatusOr<PacketMemory> PacketMemory::create(const char* name, size_t frames, unsigned cache, bool huge_pages) {
  auto mapping = map_memory(frames * path::kFrameSize, huge_pages, "packets");
  if (!mapping.ok()) return mapping.status();
  PacketMemory m;
  m.mapping_ = std::move(*mapping);
  const size_t size = m.mapping_.size();
  const size_t count = size / path::kFrameSize;
  m.pool_.reset(rte_mempool_create_empty(name, static_cast<unsigned>(count), path::kElementSize, cache,
                                         sizeof(rte_pktmbuf_pool_private), SOCKET_ID_ANY,
                                         RTE_MEMPOOL_F_NO_SPREAD | RTE_MEMPOOL_F_NO_IOVA_CONTIG));
  if (m.pool_ == nullptr)
    return log::failure(absl::StatusCode::kResourceExhausted,
                        absl::StrCat("can't make the pool of ", count, " mbufs: ", rte_strerror(rte_errno)),
                        "free some memory");
  rte_mempool* pool = m.pool_.get();
  rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), nullptr);
  rte_pktmbuf_pool_private sizes{};
  sizes.mbuf_data_room_size = path::kBufferSize;
  rte_pktmbuf_pool_init(pool, &sizes);
  const int populated =
      rte_mempool_populate_virt(pool, static_cast<char*>(m.mapping_.base()), size, kPage, nullptr, nullptr);
  if (populated != static_cast<int>(count))
    return log::failure(
        absl::StatusCode::kInternal,
        absl::StrCat("the pool took ", populated, " of ", count, " mbufs: DPDK lays them out in another way"),
        "install the release of DPDK that guideway-engine was built with");
  rte_mempool_obj_iter(pool, rte_pktmbuf_init, nullptr);
  return m;
}

}  // namespace guideway::control
