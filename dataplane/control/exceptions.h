// Connections off their Maglev slot: one table that all workers read, so that a packet that reaches a worker without
// an entry still finds its real after the backends have changed; and the same as a map, for the kernel.
#pragma once

#include <absl/status/statusor.h>
#include <rte_hash.h>

#include <functional>
#include <memory>

#include "dataplane/control/kernel_mirror.h"
#include "dataplane/control/reclaim.h"
#include "dataplane/path/exception.h"
#include "net/flow.h"

namespace guideway::control {

// More connections than this off their slots at once fall back to Maglev when they change workers; it is said.
inline constexpr uint32_t kMaxExceptions = 1U << 18;

class ExceptionTable {
 public:
  // `mirror`: where the kernel is to know them too, or null.
  static absl::StatusOr<ExceptionTable> create(Reclaimer& reclaimer, KernelMirror* mirror);

  const rte_hash* workers_view() const { return hash_.get(); }
  // False if it is full.
  bool put(const net::FlowKey6& key, path::RealIndex real);
  // If there is one of these addresses and ports: it is this real's now.
  void amend(const net::FlowKey6& key, path::RealIndex real);
  void remove(const net::FlowKey6& key);
  uint32_t size() const { return size_; }
  void for_each(const std::function<void(const net::FlowKey6&, path::RealIndex)>& visit) const;

 private:
  struct Free {
    void operator()(rte_hash* h) const { rte_hash_free(h); }
  };
  ExceptionTable(rte_hash* h, KernelMirror* mirror) : hash_(h), mirror_(mirror) {}
  std::unique_ptr<rte_hash, Free> hash_;
  KernelMirror* mirror_;
  uint32_t size_ = 0;  // rte_hash_count() counts what was removed until workers have passed, and beyond
};

}  // namespace guideway::control
