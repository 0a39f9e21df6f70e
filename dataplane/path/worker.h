// What runs on a dedicated core: polls its queues and sends every packet on its way. Owns its connections, counters
// and transmit buffers; shares nothing with the others but the published tables and the rings between them.
#pragma once

#include <poll.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>
#include <variant>
#include <vector>

#include "dataplane/path/burst.h"
#include "dataplane/path/holdings.h"
#include "dataplane/path/ledger.h"
#include "dataplane/path/port.h"
#include "dataplane/path/recover.h"
#include "dataplane/path/tables.h"

namespace guideway::path {

// What a worker polls: a port's queue, the ring over which another worker hands packets to their owner, or what has
// waited for its first fragment.
struct RxQueue {
  std::variant<PortQueue*, rte_ring*, Fragments*> source;
  uint8_t port = 0;  // its index, where it is one's
};

// How a worker reaches a port: by a queue of its own, or over a ring to the worker that has one.
struct TxQueue {
  std::variant<std::monostate, PortQueue*, rte_ring*> target;
};

// Finished packets of workers without a queue of that port, for us to send.
struct Forwarding {
  rte_ring* from = nullptr;
  PortQueue* to = nullptr;
};

struct Trace;

// With more queues than this a worker never sleeps.
inline constexpr unsigned kMaxSockets = 64;

class Worker {
 public:
  struct Setup {
    unsigned id = 0;
    const std::atomic<const Tables*>* tables = nullptr;
    std::optional<Connections> connections;
    RealCounterRows reals;
    SnatPorts::Memory snat_ports;
    Fragments* fragments = nullptr;
    uint64_t table_seed = 0;
    Tick first_tick = 0;                  // the time until it runs
    std::span<const RxQueue> rx;          // these two outlive the worker
    std::array<TxQueue, kMaxPorts> tx{};  // by port index
    std::span<const Forwarding> forwarding;
    Handover handover;
    Recent* recent = nullptr;  // what the kernel is to know before a sweep; null: there is none that balances
    rte_rcu_qsbr* quiescence = nullptr;
    uint64_t heartbeat = 0;  // ns without a stamp after which the kernel balances; 0: it never does
    bool yield = false;      // give the core away on an empty round
  };

  explicit Worker(const Setup& setup);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Before it runs, of what its tables' memory held before: see recover.h.
  Recovered recover(const Left& left, const Tables& tables);

  // Likewise, of what other tables held; false if there is no room.
  template <typename Entry>
  bool take_in(const Entry& forward, const Entry* reply, Age age) {
    return path::take_in(forward, reply, age, table<Entry>(), own_.learner.table_seed, ledger_);
  }

  // Before it runs, of what the kernel has begun; afterwards control has it done.
  void make_way(std::span<const KernelsFlow> begun, Tick now) {
    path::make_way(begun, own_.connections, own_.learner.table_seed, now);
  }

  // All queues once. True if there was anything.
  bool round(Tick now);
  // Once a millisecond: frees what idled out in the next part of the connection tables, all of them within 8,192
  // calls, and fragments that have waited too long. `milliseconds`: since it was called last.
  void housekeep(Tick now, uint32_t milliseconds = 1);
  // Housekeeping's last part: the packet that is to be traced, if there is one.
  void trace_asked(Tick now);
  // Rounds until `stop`; housekeeping every millisecond. With nothing to do for a while it sleeps, until one of its
  // sockets has something, or for a millisecond: so long may wait what comes over a ring then.
  void run(const std::atomic<bool>& stop);

  // Whether the kernel may have balanced in its place. It goes on with what comes, and so does the kernel, until
  // control welcomes it back: once it has heard what the kernel has begun.
  bool is_away() const { return away_.load(std::memory_order_acquire); }
  void welcome() { away_.store(false, std::memory_order_release); }
  // From control: housekeeping makes way for these. They stay as they are until it `has_heard`.
  void tell(const std::vector<KernelsFlow>& begun) { told_.store(&begun, std::memory_order_release); }
  bool has_heard() const { return told_.load(std::memory_order_acquire) == nullptr; }

  // From control: housekeeping traces the packet. False while another waits for that.
  bool ask(Trace& trace);
  // Also from control. True if the worker hasn't come to it, and won't.
  bool take_back(Trace& trace);

  const Counters& counters() const { return own_.counters; }
  // Control takes what this worker tells.
  Glean& glean() { return own_.glean; }
  // For readers beside us: see ConnectionTable::peek.
  const Connections& connections() const { return own_.connections; }

 private:
  using Outbox = std::array<rte_mbuf*, kBurst + kMade>;

  const Tables& tables() const { return *tables_->load(std::memory_order_acquire); }
  template <typename Entry>
  ConnectionTable<Entry>& table() {
    if constexpr (std::is_same_v<Entry, Connection4>)
      return own_.connections.v4;
    else
      return own_.connections.v6;
  }
  unsigned receive(const RxQueue& queue);
  void send(Burst& burst);
  void flush(size_t port);
  bool forward();
  void ring_doorbells();
  void stamp();
  void hear(Tick now);
  void find_sockets();
  void rehearse(Trace& trace, Tick now);
  void prepare(Trace& trace);
  void drop(rte_mbuf* mbuf, net::DropReason why);

  const std::atomic<const Tables*>* tables_;
  Ledger ledger_;
  Holdings own_;
  std::span<const RxQueue> rx_;
  std::array<TxQueue, kMaxPorts> tx_;
  std::span<const Forwarding> forwarding_;
  rte_rcu_qsbr* quiescence_;
  bool yield_;
  bool may_sleep_ = true;  // no port but by sockets
  std::array<pollfd, kMaxSockets> sockets_{};
  unsigned socket_count_ = 0;
  uint32_t expire4_ = 0;
  uint32_t expire6_ = 0;
  uint64_t heartbeat_;    // ns
  uint64_t stamped_ = 0;  // when it last would have been: ns of the kernel's clock
  std::atomic<bool> away_{false};
  std::atomic<const std::vector<KernelsFlow>*> told_{nullptr};
  std::atomic<Trace*> asked_{nullptr};
  std::array<Outbox, kMaxPorts> outbox_;      // by port
  std::array<uint16_t, kMaxPorts> queued_{};  // in each
  Burst burst_;
};

}  // namespace guideway::path
