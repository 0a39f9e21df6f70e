// Packets of unknown flows whose state is another worker's to keep go to their owner, over a ring for each pair.
#pragma once

#include <rte_ring.h>

#include <array>

#include "dataplane/path/burst.h"
#include "dataplane/path/connections.h"
#include "dataplane/path/counters.h"
#include "dataplane/path/handed_over.h"
#include "dataplane/path/tables.h"

namespace guideway::path {

// From one worker to the others; its own place is empty.
struct Handover {
  unsigned self = 0;
  unsigned workers = 1;
  std::array<rte_ring*, kMaxWorkers> to{};
  int metadata = 0;  // offset of HandedOver in an mbuf

  unsigned next() const { return (self + 1) % workers; }
};

// Over the ring, with what the packet takes along.
void give(Packet& p, const HandedOver& with, rte_ring* ring, int metadata, Counters& counters);

// Finds the service of what is undecided. A nat flow belongs to the worker of its flow hash, a reply to the worker of
// its SNAT port's block; a DSR flow to nobody. A service's session affinity has it belong to its client's worker.
void hand(Burst& burst, Connections& connections, const Tables& t, const Handover& handover, Counters& counters,
          Tick now);

// New nat flows for which there is no SNAT port left among this worker's try the next one's, until it would be their
// owner's turn again: only then is there none. An entry here leads what follows the same way.
void hand_on(Burst& burst, Connections& connections, const Tables& t, const Handover& handover, Counters& counters,
             Tick now);

}  // namespace guideway::path
