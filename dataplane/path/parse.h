// From bytes to a flow: Ethernet with up to two VLAN tags, IPv4 or IPv6, TCP, UDP, SCTP or ICMP; every length is
// checked before it is believed.
#pragma once

#include <cstdint>

#include "dataplane/path/burst.h"

namespace guideway::path {

struct HashSeeds {
  uint64_t flow = 0;   // the group's: which real
  uint64_t table = 0;  // this worker's own: which bucket, so that nobody outside can aim at one
};

// Sets everything up to the hashes, or drops with the reason.
void parse(Burst& burst, const HashSeeds& seeds);

// Both hashes of its key.
void hash(Packet& p, const HashSeeds& seeds);

// One packet of `length` bytes at `frame`; what parse() does to each.
void parse(Packet& p, uint8_t* frame, uint32_t length);

}  // namespace guideway::path
