// The one memory of all packets: a pool of mbufs that AF_XDP sockets use as their UMEM (dataplane/path/frames.h).
// Needs an initialised EAL. Must outlive every port.
#pragma once

#include <absl/status/statusor.h>
#include <rte_mempool.h>
#include <sys/mman.h>

#include <cstddef>
#include <memory>
#include <string_view>

#include "dataplane/control/memory.h"
#include "dataplane/path/frames.h"

namespace guideway::control {

class PacketMemory {
 public:
  // `frames` mbufs, rounded up to whole 2 MB pages; `cache` of them per worker kept out of the shared ring (at most
  // RTE_MEMPOOL_CACHE_MAX_SIZE). With `huge_pages` it uses 2 MB pages if enough are free, else plain memory.
  static absl::StatusOr<PacketMemory> create(const char* name, size_t frames, unsigned cache, bool huge_pages);

  path::FrameMemory frames() const { return {static_cast<std::byte*>(mapping_.base()), mapping_.size(), pool_.get()}; }
  rte_mempool* pool() const { return pool_.get(); }
  bool huge() const { return mapping_.huge(); }  // on 2 MB pages
  // Frames that nobody holds: equal before and after, or there is a leak.
  unsigned free_frames() const { return rte_mempool_avail_count(pool_.get()); }

 private:
  struct FreePool {
    void operator()(rte_mempool* p) const { rte_mempool_free(p); }
  };
  Mapping mapping_;
  std::unique_ptr<rte_mempool, FreePool> pool_;
};

}  // namespace guideway::control
