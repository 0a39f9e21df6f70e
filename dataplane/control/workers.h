// The workers of an engine with all that they own: connection tables, the rings between them, and who polls what.
#pragma once

#include <absl/status/statusor.h>
#include <rte_ring.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dataplane/control/engine_port.h"
#include "dataplane/control/memory.h"
#include "dataplane/control/reclaim.h"
#include "dataplane/control/table_directory.h"
#include "dataplane/control/tally.h"
#include "dataplane/path/worker.h"

namespace guideway::control {

class Workers {
 public:
  struct Options {
    unsigned count = 1;
    uint32_t connections = 1U << 20;  // of each family, a worker
    bool huge = true;                 // try 2 MB pages
    bool yield = false;
    std::chrono::nanoseconds heartbeat{};  // after which the kernel balances; 0: it never does
    path::Recent* recent = nullptr;        // null if no kernel balances; outlives them
    const Tally* tally = nullptr;          // has the rows that they count in; outlives them
    TableDirectory* directory = nullptr;   // where connections outlive us; outlives them
  };

  // Queue q of each port goes to worker q mod count; a worker without a queue of a port reaches it over a ring to one
  // that has. `ports`' queues must outlive the workers.
  static absl::StatusOr<std::unique_ptr<Workers>> create(const Options& options, std::span<const EnginePort> ports,
                                                         const std::atomic<const path::Tables*>& tables,
                                                         Reclaimer& reclaimer);

  // Once the state is known, before they run: what tables of other engines held that couldn't be mapped again, as those
  // of other numbers of workers or connections. Gives how many connections there was no room for.
  uint32_t carry_over(const path::Tables& tables);

  path::Worker& operator[](unsigned i) { return *workers_[i]; }
  unsigned count() const { return static_cast<unsigned>(workers_.size()); }
  std::vector<const path::Worker*> all() const;
  // Who polls queue `q` of any port.
  unsigned receiver(unsigned q) const { return q % count(); }
  int metadata() const { return metadata_; }  // offset of a HandedOver in an mbuf
  // For control's own frames: a worker sends by the port, of this index, what is put there.
  rte_ring* inject(uint8_t port) const { return inject_[port]; }
  uint32_t connection_limit() const { return connections_; }
  bool huge() const;  // whether all tables are on 2 MB pages
  size_t bytes() const;
  // Connections that an earlier engine had left.
  uint32_t recovered() const { return recovered_; }
  // Why tables aren't on 2 MB pages, or won't outlive us; empty if all is as was asked.
  const std::string& complaint() const { return complaint_; }

 private:
  struct FreeRing {
    void operator()(rte_ring* r) const { rte_ring_free(r); }
  };
  using Ring = std::unique_ptr<rte_ring, FreeRing>;

  Workers() = default;
  // Who polls and forwards what; the workers look at it.
  struct Wiring {
    path::Worker::Setup setup;
    std::vector<path::RxQueue> rx;
    std::vector<path::Forwarding> forwarding;
    std::optional<uint64_t> left;  // what its tables hold is an earlier engine's, who ran so many seconds ago
  };
  template <typename Entry>
  absl::StatusOr<path::ConnectionTable<Entry>> open_table(const Options& options, unsigned worker, uint64_t seed);
  uint32_t recover(path::Worker& worker, uint64_t seed, uint64_t away, const path::Tables& tables);
  template <typename Entry>
  static bool check(const TableDirectory::Former& former, const path::Tables& tables);
  template <typename Entry>
  uint32_t carry_over(const TableDirectory::Former& former, const path::Tables& tables);
  template <typename Entry>
  bool settle(const Entry& forward, const Entry* reply, path::Age age, const path::Tables& tables);
  absl::StatusOr<rte_ring*> new_ring();
  absl::Status connect(std::span<const EnginePort> ports);
  absl::Status connect_port(const EnginePort& port);

  uint32_t connections_ = 0;
  uint32_t recovered_ = 0;
  std::string complaint_;
  std::vector<TableDirectory::Former> former_;
  int metadata_ = 0;
  std::vector<Mapping> memory_;
  std::vector<Ring> rings_;
  std::vector<std::unique_ptr<path::Fragments>> fragments_;
  std::array<rte_ring*, path::kMaxPorts> inject_{};
  std::vector<Wiring> wirings_;
  std::vector<std::unique_ptr<path::Worker>> workers_;
};

}  // namespace guideway::control
