// Only a datagram's first fragment has ports (RFC 791, RFC 8200): the table keeps them for those that follow, and what
// comes before it waits for it. One table for each worker; all fragments of a datagram go to the same one. Nothing is
// put together, and nothing is remembered of a datagram but its ports: the last to tell them wins, for ids come again.
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstdint>
#include <span>

#include "dataplane/path/burst.h"
#include "dataplane/path/counters.h"
#include "dataplane/path/hand.h"
#include "dataplane/path/hash.h"

namespace guideway::path {

// What a datagram's first fragment tells of it.
struct Told {
  uint32_t ports = 0;  // as they stand in the packet
  uint8_t protocol = 0;
};

// Memory comes from control.
class Fragments {
 public:
  static constexpr unsigned kDatagrams = 1'024;
  static constexpr unsigned kWaiting = 64;  // packets
  static constexpr uint32_t kWait = 50;     // milliseconds that a packet waits for its first fragment
  // Milliseconds that a datagram is known: longer than networks reorder by. A fragment that comes before the first one
  // of its datagram must not find another's of the same id, and IPv4 has 65,536 of them.
  static constexpr uint32_t kLife = 1'000;

  // `metadata`: offset of HandedOver in an mbuf.
  explicit Fragments(int metadata) : metadata_(metadata) { head_.fill(kNobody); }

  // `hash`: of the datagram's key, by a seed of our own.
  Told* find(const net::FlowKey6& datagram, uint64_t hash);
  // False if the table is full of datagrams that are younger than a packet waits; older ones make room.
  bool remember(const net::FlowKey6& datagram, uint64_t hash, const Told& told);

  // The mbuf is ours until it is taken. False if there is no room.
  bool wait(rte_mbuf* mbuf, const net::FlowKey6& datagram);
  // What waits for this datagram may go on, in the order in which it came.
  void release(const net::FlowKey6& datagram, const Told& told);
  unsigned take_released(std::span<rte_mbuf*> out);

  // Housekeeping's turn, so many milliseconds after the last: one, or more where the core was another's meanwhile. A
  // datagram is forgotten by the clock, as its sender counts ids; what waits gets its 50 turns, in which the first
  // fragment, too, would have been looked for.
  void tick(uint32_t milliseconds = 1);
  // Somebody who has waited too long, or nobody.
  rte_mbuf* take_late();

  unsigned datagrams() const { return count_; }

 private:
  static constexpr uint16_t kNobody = 0xffff;

  // In the order of their coming, around `oldest_`; each in the chain of its hash.
  struct Datagram {
    net::FlowKey6 key;
    Told told;
    uint32_t since = 0;  // by the clock
    uint16_t chain = 0;
    uint16_t next = kNobody;
  };
  struct Waiting {
    rte_mbuf* mbuf = nullptr;
    net::FlowKey6 datagram;
    uint32_t since = 0;  // in turns
  };

  void forget_oldest();

  int metadata_;
  uint32_t clock_ = 0;  // milliseconds
  uint32_t turns_ = 0;
  unsigned oldest_ = 0;
  unsigned count_ = 0;
  unsigned waiting_count_ = 0;
  unsigned released_count_ = 0;
  std::array<uint16_t, kDatagrams> head_;
  std::array<Datagram, kDatagrams> datagrams_;
  std::array<Waiting, kWaiting> waiting_;  // in the order of their coming
  std::array<rte_mbuf*, kWaiting> released_;
};

// Gives every fragment its flow. What comes in by another worker's queue goes over the ring to the worker of its
// datagram; from there on it is a packet of its flow like others.
void match(Burst& burst, Fragments& fragments, HashSeeds seeds, const Handover& handover, Counters& counters);

}  // namespace guideway::path
