// One AF_XDP socket: receive and send without a copy between our buffers, for its UMEM is the mbuf pool.
// Brought up by dataplane/control/af_xdp_port.h. Worker code: its only system call is the doorbell.
//
//            fill ring  --> free frames for the kernel to receive into
//   kernel   rx ring    --> received packets            AfXdpQueue::receive
//            tx ring    --> packets to send             AfXdpQueue::send
//            completion ring --> frames that were sent  AfXdpQueue::send, flush
#pragma once

#include <rte_mbuf.h>
#include <xdp/xsk.h>

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/path/frames.h"

namespace guideway::path {

inline constexpr uint32_t kAfXdpRingSize = 2048;  // descriptors of each of the four rings

// Read by control, written by the queue's worker.
struct AfXdpCounters {
  uint64_t received = 0;    // packets
  uint64_t sent = 0;        // packets given to the kernel
  uint64_t unsendable = 0;  // packets freed by send(): several segments, shared, or not of our memory
  uint64_t no_frames = 0;   // times that the pool had none for the fill ring
  uint64_t doorbells = 0;   // system calls
};

// What a queue works on. Made and taken down by control while no worker polls; ro for control, rw for the worker.
struct alignas(64) AfXdpRings {
  AfXdpRings(const FrameMemory& frame_memory, uint16_t mbuf_port)
      : memory(frame_memory), held((frame_memory.frames() + 63) / 64), port(mbuf_port) {}

  xsk_ring_cons rx{};
  xsk_ring_prod tx{};
  xsk_ring_prod fill{};
  xsk_ring_cons completion{};
  FrameMemory memory;
  // One bit a frame: it is the kernel's, to receive into or to send. So no frame is freed twice or lost, whatever the
  // kernel's rings say, and those that are out when the socket closes come back.
  std::vector<uint64_t> held;
  int socket = -1;
  uint16_t port;                   // rte_mbuf::port of what is received
  uint32_t owed = kAfXdpRingSize;  // frames that the fill ring is short of
  uint32_t sending = 0;            // frames sent and not yet completed
  bool tx_rung = true;             // no packet was queued since the last doorbell
  AfXdpCounters counters;
  uint64_t* heartbeat = nullptr;  // read by the XDP program
  uint32_t nothing = 0;           // all that rings without a socket have: read, never written

  bool hold(uint64_t frame) {
    uint64_t& word = held[frame / 64];
    const uint64_t bit = uint64_t{1} << frame % 64;
    if ((word & bit) != 0) return false;
    word |= bit;
    return true;
  }
  bool let_go(uint64_t frame) {
    if (frame >= memory.frames()) return false;
    uint64_t& word = held[frame / 64];
    const uint64_t bit = uint64_t{1} << frame % 64;
    if ((word & bit) == 0) return false;
    word &= ~bit;
    return true;
  }
};

// A handle: the rings belong to the port, which outlives it.
class AfXdpQueue {
 public:
  explicit AfXdpQueue(AfXdpRings& rings) : r_(&rings) {}

  // Takes packets and gives the kernel free frames for them.
  unsigned receive(std::span<rte_mbuf*> out);
  // Takes packets from the front, as many as the tx ring has room for; what can't be sent at all is freed and counted.
  // They leave by flush().
  unsigned send(std::span<rte_mbuf*> packets);
  // Rings the doorbell for what was queued, and frees what has been sent. Call once a round, sent or not.
  void flush();
  // Somebody polls it: nanoseconds of CLOCK_MONOTONIC_COARSE. Soon enough after the last time, or the kernel balances.
  void stamp(uint64_t now) { std::atomic_ref(*r_->heartbeat).store(now, std::memory_order_relaxed); }

  const AfXdpCounters& counters() const { return r_->counters; }
  const AfXdpRings& rings() const { return *r_; }

 private:
  AfXdpRings* r_;
};

// Fills the fill ring. Before the first receive(), by control. False if the pool has too few frames.
bool prime(AfXdpRings& rings);
// Returns every frame that the kernel held to the pool. Only once the socket is closed. The queue may be polled then:
// nothing comes, and nothing has room.
void reclaim(AfXdpRings& rings);

}  // namespace guideway::path
