// What a worker does around the stages: queues, clock, housekeeping.
#include "dataplane/path/worker.h"

#include <rte_cycles.h>
#include <rte_pause.h>
#include <sched.h>

#include <algorithm>
#include <utility>

#include "dataplane/path/poison.h"

namespace guideway::path {

namespace {

using net::DropReason;

constexpr unsigned kHousekeepingParts = 8'192;

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
      conns_(*s.connections),
      fragments_(s.fragments),
      rx_(s.rx),
      tx_(s.tx),
      forwarding_(s.forwarding),
      handover_(s.handover),
      learner_{s.id, s.table_seed, &ledger_.ports()},
      quiescence_(s.quiescence),
      yield_(s.yield) {
  conns_.v4.set_ledger(&ledger_);
  conns_.v6.set_ledger(&ledger_);
}

unsigned Worker::receive(const RxQueue& queue) {
  std::array<rte_mbuf*, kBurst> mbufs;
  unsigned n;
  if (const auto* port = std::get_if<PortQueue*>(&queue.source)) {
    n = receive_from(*port, mbufs);
    counters_.received.add(n);
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
    p.hops = burst_.handed_over ? path::handed_over(mbufs[i], handover_.metadata).hops : uint8_t{0};
  }
  burst_.count = n;
  return n;
}

void Worker::drop(rte_mbuf* mbuf, DropReason why) {
  counters_.drops[static_cast<size_t>(why)].add(1);
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
  counters_.sent.add(sent);
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

void Worker::housekeep(Tick now, uint32_t milliseconds) {
  counters_.tick.set(now);
  icmp_errors_.refill(tables().icmp_rate);
  guard_.refill(tables().new_flow_rate);
  const IdleTimeouts& idle = tables().idle_timeouts;
  conns_.v4.set_idle_timeouts(idle);
  conns_.v6.set_idle_timeouts(idle);
  fragments_->tick(milliseconds);
  while (rte_mbuf* late = fragments_->take_late()) drop(late, DropReason::FRAGMENT_TIMEOUT);
  expire4_ = conns_.v4.expire(expire4_, std::max(1U, conns_.v4.buckets() / kHousekeepingParts), now);
  expire6_ = conns_.v6.expire(expire6_, std::max(1U, conns_.v6.buckets() / kHousekeepingParts), now);
  counters_.connections4.set(conns_.v4.size());
  counters_.connections6.set(conns_.v6.size());
  counters_.datagrams.set(fragments_->datagrams());
  counters_.snat_destinations.set(ledger_.ports().destinations());
}

void Worker::run(const std::atomic<bool>& stop) {
  rte_rcu_qsbr_thread_register(quiescence_, learner_.worker);
  rte_rcu_qsbr_thread_online(quiescence_, learner_.worker);
  const uint64_t second = rte_get_tsc_hz();
  const uint64_t start = rte_rdtsc();
  const uint64_t millisecond = second / 1'000;
  uint64_t kept = 0;  // milliseconds, by the last housekeeping
  uint64_t next = start;
  Tick now = 0;
  while (!stop.load(std::memory_order_relaxed)) {
    const bool busy = round(now);
    rte_rcu_qsbr_quiescent(quiescence_, learner_.worker);
    if (!busy) yield_ ? static_cast<void>(sched_yield()) : rte_pause();
    const uint64_t tsc = rte_rdtsc();
    if (tsc < next) continue;
    next = tsc + millisecond;
    now = static_cast<Tick>((tsc - start) / second);
    const uint64_t milliseconds = (tsc - start) / millisecond;
    housekeep(now, static_cast<uint32_t>(milliseconds - std::exchange(kept, milliseconds)));
  }
  rte_rcu_qsbr_thread_offline(quiescence_, learner_.worker);
  rte_rcu_qsbr_thread_unregister(quiescence_, learner_.worker);
}

}  // namespace guideway::path
