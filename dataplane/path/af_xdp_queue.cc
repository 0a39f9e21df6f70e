// Moves frames between the mbuf pool and the rings of an AF_XDP socket. No allocation, lock or log.
#include "dataplane/path/af_xdp_queue.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace guideway::path {
namespace {

constexpr unsigned kBatch = 64;  // frames moved at once between pool and ring
// A call sends 32 packets in copy mode (the kernel's TX_BATCH_SIZE) and says EAGAIN while there are more: enough calls
// for a burst of 64 and what an earlier one left, and never an endless loop where the device is full.
constexpr int kMaxDoorbells = 4;

// As many free frames as the pool has, up to `wanted`.
unsigned take(rte_mempool* pool, void** frames, unsigned wanted) {
  while (wanted != 0 && rte_mempool_get_bulk(pool, frames, wanted) != 0) wanted /= 2;
  return wanted;
}

// In batches, for the pool's shared ring costs an atomic operation each time.
void refill(AfXdpRings& r, unsigned least) {
  std::array<void*, kBatch> frames;
  while (r.owed >= least) {
    const unsigned wanted = std::min(r.owed, kBatch);
    if (xsk_prod_nb_free(&r.fill, wanted) < wanted) return;
    const unsigned n = take(r.memory.pool, frames.data(), wanted);
    uint32_t at = 0;
    xsk_ring_prod__reserve(&r.fill, n, &at);
    for (unsigned i = 0; i < n; ++i) {
      const uint64_t address = r.memory.frame_address(static_cast<rte_mbuf*>(frames[i]));
      r.hold(address / kFrameSize);
      *xsk_ring_prod__fill_addr(&r.fill, at + i) = address;
    }
    xsk_ring_prod__submit(&r.fill, n);
    r.owed -= n;
    r.counters.no_frames += n < wanted;
    if (n < wanted) return;
  }
}

void reap(AfXdpRings& r) {
  std::array<void*, kBatch> frames;
  while (r.sending != 0) {
    uint32_t at = 0;
    const unsigned n = xsk_ring_cons__peek(&r.completion, kBatch, &at);
    unsigned sent = 0;
    for (unsigned i = 0; i < n; ++i) {
      const uint64_t address = *xsk_ring_cons__comp_addr(&r.completion, at + i);
      if (r.let_go(address / kFrameSize)) frames[sent++] = r.memory.mbuf(address);
    }
    if (n != 0) xsk_ring_cons__release(&r.completion, n);
    // They were single and unshared when they were sent, which is all that a free mbuf must be.
    if (sent != 0) rte_mempool_put_bulk(r.memory.pool, frames.data(), sent);
    r.sending -= sent;
    if (n < kBatch) return;
  }
}

template <typename Ring>
void empty(Ring& ring, uint32_t* nothing) {
  ring = {};
  ring.producer = ring.consumer = ring.flags = nothing;
}

// The rest of a free mbuf (refcnt 1, next null, nb_segs 1) is as the pool keeps it.
void fill_in(rte_mbuf* m, const xdp_desc& d, uint16_t port) {
  rte_pktmbuf_reset(m);
  m->data_off = static_cast<uint16_t>((d.addr & (kFrameSize - 1)) - kFrameHeadroom);
  m->data_len = static_cast<uint16_t>(d.len);
  m->pkt_len = d.len;
  m->port = port;
}

}  // namespace

unsigned AfXdpQueue::receive(std::span<rte_mbuf*> out) {
  AfXdpRings& r = *r_;
  uint32_t at = 0;
  const unsigned n = xsk_ring_cons__peek(&r.rx, static_cast<uint32_t>(out.size()), &at);
  if (n == 0) {
    refill(r, 1);
    if (xsk_ring_prod__needs_wakeup(&r.fill)) {
      recvfrom(r.socket, nullptr, 0, MSG_DONTWAIT, nullptr, nullptr);
      ++r.counters.doorbells;
    }
    return 0;
  }
  for (unsigned i = 0; i < n; ++i) rte_prefetch0(r.memory.mbuf(xsk_ring_cons__rx_desc(&r.rx, at + i)->addr));
  unsigned good = 0;
  for (unsigned i = 0; i < n; ++i) {
    const xdp_desc& d = *xsk_ring_cons__rx_desc(&r.rx, at + i);
    if (!r.let_go(d.addr / kFrameSize)) continue;
    out[good] = r.memory.mbuf(d.addr);
    fill_in(out[good++], d, r.port);
  }
  xsk_ring_cons__release(&r.rx, n);
  r.counters.received += good;
  r.owed += good;
  refill(r, kBatch);
  return good;
}

unsigned AfXdpQueue::send(std::span<rte_mbuf*> packets) {
  AfXdpRings& r = *r_;
  if (r.sending >= kAfXdpRingSize / 2) reap(r);
  // Never more on their way than the completion ring holds.
  const auto wanted = static_cast<uint32_t>(std::min<size_t>(packets.size(), kAfXdpRingSize - r.sending));
  const uint32_t room = std::min(wanted, xsk_prod_nb_free(&r.tx, wanted));
  uint32_t queued = 0;
  for (uint32_t i = 0; i < room; ++i) {
    rte_mbuf* m = packets[i];
    if (!r.memory.is_sendable(m)) {
      rte_pktmbuf_free(m);
      ++r.counters.unsendable;
      continue;
    }
    const uint64_t frame = r.memory.frame_address(m);
    if (!r.hold(frame / kFrameSize)) {  // sent twice: the kernel has it already
      ++r.counters.unsendable;
      continue;
    }
    uint32_t at = 0;
    xsk_ring_prod__reserve(&r.tx, 1, &at);
    *xsk_ring_prod__tx_desc(&r.tx, at) = {frame + kFrameHeadroom + m->data_off, m->data_len, 0};
    ++queued;
  }
  if (queued != 0) xsk_ring_prod__submit(&r.tx, queued);
  r.sending += queued;
  r.counters.sent += queued;
  r.tx_rung = r.tx_rung && queued == 0;
  return room;
}

void AfXdpQueue::flush() {
  AfXdpRings& r = *r_;
  reap(r);
  if (r.sending == 0) r.tx_rung = true;
  if (!r.tx_rung && xsk_ring_prod__needs_wakeup(&r.tx)) {
    // Device full or down: what is queued stays so, and goes with the next round's doorbell.
    for (int tries = 0; !r.tx_rung && tries < kMaxDoorbells; ++tries) {
      r.tx_rung = sendto(r.socket, nullptr, 0, MSG_DONTWAIT, nullptr, 0) >= 0;
      ++r.counters.doorbells;
      if (!r.tx_rung && errno != EAGAIN) break;
    }
    reap(r);
  }
}

bool prime(AfXdpRings& rings) {
  refill(rings, 1);
  return rings.owed == 0;
}

void reclaim(AfXdpRings& rings) {
  for (uint64_t frame = 0; frame < rings.memory.frames(); ++frame)
    if (rings.let_go(frame)) rte_mempool_put(rings.memory.pool, rings.memory.mbuf(frame * kFrameSize));
  rings.owed = kAfXdpRingSize;
  rings.sending = 0;
  rings.tx_rung = true;
  rings.socket = -1;
  empty(rings.rx, &rings.nothing);
  empty(rings.tx, &rings.nothing);
  empty(rings.fill, &rings.nothing);
  empty(rings.completion, &rings.nothing);
}

}  // namespace guideway::path
