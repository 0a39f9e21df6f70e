// The one memory of all packets: a pool of mbufs that AF_XDP sockets use as their UMEM (dataplane/path/frames.h).
// Needs an initialised EAL. Must outlive every port.
#pragma once

#include <absl/status/statusor.h>
#include <rte_mempool.h>
#include <sys/mman.h>

#include <cstddef>
#include <memory>
#include <string_view>

#include "dataplane/path/frames.h"

namespace guideway::control {

// What the memory is made of, best first.
enum class Backing { kHugePages, kTransparentHugePages, kSmallPages };
std::string_view to_string(Backing backing);

struct Unmap {
  size_t size = 0;
  void operator()(std::byte* p) const { munmap(p, size); }
};

class PacketMemory {
 public:
  // `frames` mbufs, rounded up to whole 2 MB pages; `cache` of them per worker kept out of the shared ring (at most
  // RTE_MEMPOOL_CACHE_MAX_SIZE). With `huge_pages` it uses 2 MB pages if enough are free, else plain memory.
  static absl::StatusOr<PacketMemory> create(const char* name, size_t frames, unsigned cache, bool huge_pages);

  path::FrameMemory frames() const { return {mapping_.get(), mapping_.get_deleter().size, pool_.get()}; }
  rte_mempool* pool() const { return pool_.get(); }
  Backing backing() const { return backing_; }
  // Frames that nobody holds: equal before and after, or there is a leak.
  unsigned free_frames() const { return rte_mempool_avail_count(pool_.get()); }

 private:
  struct FreePool {
    void operator()(rte_mempool* p) const { rte_mempool_free(p); }
  };
  using Mapping = std::unique_ptr<std::byte, Unmap>;

  static Mapping map_huge(size_t size);
  static Mapping map_plain(size_t size);

  Mapping mapping_;
  std::unique_ptr<rte_mempool, FreePool> pool_;
  Backing backing_ = Backing::kSmallPages;
};

}  // namespace guideway::control
