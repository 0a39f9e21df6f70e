// What a worker does around the stages: queues, clock, housekeeping.
#include "dataplane/path/worker.h"

#include <rte_cycles.h>
#include <rte_pause.h>
#include <sched.h>

#include <algorithm>
#include <utility>

#include "dataplane/path/clock.h"
#include "dataplane/path/poison.h"
#include "dataplane/path/trace.h"

namespace guideway::path {

namespace {

using net::DropReason;

constexpr unsigned kHousekeepingParts = 8'192;
constexpr unsigned kAwake = 10;  // milliseconds after the last packet

Tick this_second() { return static_cast<Tick>(seconds_since_boot()); }

unsigned receive_from(PortQueue* queue, std::span<rte_mbuf*> out) {
  return with(*queue, [&](auto& q) { return q.receive(out); });
}

unsigned send_to(PortQueue* queue, std::span<rte_mbuf*> packets) {
  return with(*queue, [&](auto& q) { return q.send(packets); });
}

}  // namespace

Worker::Worker(const Setup& s)
    : tables_(s.tables),
      ledger_(s.reals, SnatPorts(s.id, s.handover.workers, s.snat_ports)),
      own_{.connections = *s.connections,
           .fragments = s.fragments,
           .handover = s.handover,
           .learner = {s.id, s.table_seed, &ledger_.ports(), s.recent},
           .reals = s.reals},
      rx_(s.rx),
      tx_(s.tx),
      forwarding_(s.forwarding),
      quiescence_(s.quiescence),
      yield_(s.yield),
      heartbeat_(s.heartbeat) {
  own_.counters.tick.set(s.first_tick);
  own_.connections.v4.set_ledger(&ledger_);
  own_.connections.v6.set_ledger(&ledger_);
}

Recovered Worker::recover(const Left& left, const Tables& tables) {
  return path::recover(own_.connections, left, tables, own_.learner.worker, ledger_);
}

unsigned Worker::receive(const RxQueue& queue) {
  std::array<rte_mbuf*, kBurst> mbufs;
  unsigned n;
  if (const auto* port = std::get_if<PortQueue*>(&queue.source)) {
    n = receive_from(*port, mbufs);
    own_.counters.received.add(n);
    burst_.handed_over = false;
    burst_.port = queue.port;
  } else {
    auto* const* ring = std::get_if<rte_ring*>(&queue.source);
    n = ring != nullptr ? rte_ring_sc_dequeue_burst(*ring, reinterpret_cast<void**>(mbufs.data()), kBurst, nullptr)
                        : (*std::get_if<Fragments*>(&queue.source))->take_released(mbufs);
    burst_.handed_over = true;
  }
  for (unsigned i = 0; i < n; ++i) {
    Packet& p = burst_.packets[i];
    p.mbuf = mbufs[i];
    poison(p.mbuf);
    p.hops = burst_.handed_over ? path::handed_over(mbufs[i], own_.handover.metadata).hops : uint8_t{0};
  }
  burst_.count = n;
  return n;
}

void Worker::drop(rte_mbuf* mbuf, DropReason why) {
  own_.counters.drops[static_cast<size_t>(why)].add(1);
  rte_pktmbuf_free(mbuf);
}

void Worker::send(Burst& burst) {
  for (Packet& p : burst.all()) {
    if (p.fate == Fate::kForward || p.fate == Fate::kFinished) {
      outbox_[p.out_port][queued_[p.out_port]++] = p.mbuf;
    } else if (p.fate == Fate::kDrop) {
      drop(p.mbuf, p.reason);
    }
  }
  for (size_t port = 0; port < tx_.size(); ++port)
    if (queued_[port] > 0) flush(port);
}

void Worker::flush(size_t port) {
  const std::span<rte_mbuf*> packets(outbox_[port].data(), std::exchange(queued_[port], 0));
  unsigned sent = 0;
  if (auto* queue = std::get_if<PortQueue*>(&tx_[port].target))
    sent = send_to(*queue, packets);
  else if (auto* ring = std::get_if<rte_ring*>(&tx_[port].target))
    sent = rte_ring_sp_enqueue_burst(*ring, reinterpret_cast<void**>(packets.data()),
                                     static_cast<unsigned>(packets.size()), nullptr);
  own_.counters.sent.add(sent);
  for (rte_mbuf* unsent : packets.subspan(sent)) drop(unsent, DropReason::TX_FULL);
}

bool Worker::forward() {
  bool busy = false;
  for (const Forwarding& f : forwarding_) {
    std::array<rte_mbuf*, kBurst> mbufs;
    const unsigned n = rte_ring_sc_dequeue_burst(f.from, reinterpret_cast<void**>(mbufs.data()), kBurst, nullptr);
    if (n == 0) continue;
    busy = true;
    const unsigned sent = send_to(f.to, {mbufs.data(), n});
    for (unsigned i = sent; i < n; ++i) drop(mbufs[i], DropReason::TX_FULL);
  }
  return busy;
}

void Worker::ring_doorbells() {
  for (const RxQueue& q : rx_)
    if (auto* const* port = std::get_if<PortQueue*>(&q.source)) with(**port, [](auto& p) { p.flush(); });
}

// The kernel's clock tick, as the kernel compares it: read from memory, by the vDSO.
void Worker::stamp() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  const uint64_t now = static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
  const uint64_t before = std::exchange(stamped_, now);
  if (heartbeat_ != 0 && before != 0 && now - before >= heartbeat_) away_.store(true, std::memory_order_release);
  if (is_away()) return;
  for (const RxQueue& q : rx_)
    if (auto* const* port = std::get_if<PortQueue*>(&q.source)) with(**port, [now](auto& p) { p.stamp(now); });
}

void Worker::find_sockets() {
  socket_count_ = 0;
  for (const RxQueue& q : rx_) {
    auto* const* port = std::get_if<PortQueue*>(&q.source);
    if (port == nullptr) continue;
    const auto* queue = std::get_if<AfXdpQueue>(*port);
    may_sleep_ = queue != nullptr && socket_count_ < kMaxSockets;
    if (!may_sleep_) return;
    sockets_[socket_count_++] = {queue->rings().socket, POLLIN, 0};
  }
}

void Worker::housekeep(Tick now, uint32_t milliseconds) {
  own_.counters.tick.set(now);
  own_.icmp_errors.refill(tables().icmp_rate, milliseconds);
  own_.guard.refill(tables().new_flow_rate, milliseconds);
  const IdleTimeouts& idle = tables().idle_timeouts;
  own_.connections.v4.set_idle_timeouts(idle);
  own_.connections.v6.set_idle_timeouts(idle);
  own_.fragments->tick(milliseconds);
  while (rte_mbuf* late = own_.fragments->take_late()) drop(late, DropReason::FRAGMENT_TIMEOUT);
  expire4_ =
      own_.connections.v4.expire(expire4_, std::max(1U, own_.connections.v4.buckets() / kHousekeepingParts), now);
  expire6_ =
      own_.connections.v6.expire(expire6_, std::max(1U, own_.connections.v6.buckets() / kHousekeepingParts), now);
  own_.counters.connections4.set(own_.connections.v4.size());
  own_.counters.connections6.set(own_.connections.v6.size());
  own_.counters.datagrams.set(own_.fragments->datagrams());
  own_.counters.snat_destinations.set(ledger_.ports().destinations());
  hear(now);
  trace_asked(now);
}

void Worker::hear(Tick now) {
  if (const auto* begun = told_.load(std::memory_order_acquire)) {
    make_way(*begun, now);
    told_.store(nullptr, std::memory_order_release);
  }
}

void Worker::trace_asked(Tick now) {
  if (asked_.load(std::memory_order_relaxed) == nullptr) return;
  if (Trace* trace = asked_.exchange(nullptr, std::memory_order_acquire)) rehearse(*trace, now);
}

bool Worker::ask(Trace& trace) {
  Trace* nobody = nullptr;
  return asked_.compare_exchange_strong(nobody, &trace, std::memory_order_release, std::memory_order_relaxed);
}

bool Worker::take_back(Trace& trace) {
  Trace* asked = &trace;
  return asked_.compare_exchange_strong(asked, nullptr, std::memory_order_relaxed);
}

// Copies, so that the packet meets all as it is and leaves it so.
void Worker::prepare(Trace& trace) {
  trace.fragments = *own_.fragments;
  trace.ledger.emplace(trace.reals, ledger_.ports().rehearsal());
  Ledger* const ledger = &*trace.ledger;
  Holdings& h =
      trace.holdings.emplace(Connections{own_.connections.v4.rehearsal(ledger), own_.connections.v6.rehearsal(ledger)},
                             &trace.fragments, own_.handover, own_.learner, trace.reals, own_.guard, own_.icmp_errors);
  h.handover.to = trace.to;
  h.learner.ports = &ledger->ports();
  h.learner.recent = nullptr;
  h.counters.tick.set(own_.counters.tick.read());
  Burst& b = trace.burst;
  b.count = 1;
  b.handed_over = trace.handed_over;
  b.port = trace.port;
  Packet& p = b.packets[0];
  p.mbuf = trace.mbuf;
  p.hops = b.handed_over ? handed_over(p.mbuf, own_.handover.metadata).hops : uint8_t{0};
  poison(p.mbuf);
}

void Worker::run(const std::atomic<bool>& stop) {
  rte_rcu_qsbr_thread_register(quiescence_, own_.learner.worker);
  rte_rcu_qsbr_thread_online(quiescence_, own_.learner.worker);
  const uint64_t millisecond = rte_get_tsc_hz() / 1'000;
  const uint64_t start = rte_rdtsc() - millisecond;  // the first housekeeping, at once, brings rates a first one
  find_sockets();
  uint64_t awake_until = start;
  uint64_t kept = 0;  // milliseconds, by the last housekeeping
  uint64_t next = start;
  Tick now = this_second();
  while (!stop.load(std::memory_order_relaxed)) {
    const bool busy = round(now);
    rte_rcu_qsbr_quiescent(quiescence_, own_.learner.worker);
    if (!busy) yield_ ? static_cast<void>(sched_yield()) : rte_pause();
    uint64_t tsc = rte_rdtsc();
    if (busy) {
      awake_until = tsc + kAwake * millisecond;
    } else if (tsc >= awake_until && may_sleep_) {
      poll(sockets_.data(), socket_count_, 1);
      tsc = rte_rdtsc();
    }
    if (tsc < next) continue;
    next = tsc + millisecond;
    stamp();
    now = this_second();
    const uint64_t milliseconds = (tsc - start) / millisecond;
    housekeep(now, static_cast<uint32_t>(milliseconds - std::exchange(kept, milliseconds)));
  }
  rte_rcu_qsbr_thread_offline(quiescence_, own_.learner.worker);
  rte_rcu_qsbr_thread_unregister(quiescence_, own_.learner.worker);
}

}  // namespace guideway::path
