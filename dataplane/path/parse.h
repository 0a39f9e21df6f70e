// From bytes to a flow: Ethernet with up to two VLAN tags, IPv4 or IPv6, TCP, UDP, SCTP or ICMP; every length is
// checked before it is believed.
#pragma once

#include <cstdint>

#include "dataplane/path/burst.h"

namespace guideway::path {

// Sets everything up to the key, or drops with the reason.
void parse(Burst& burst);

// One packet of `length` bytes at `frame`; what parse() does to each.
void parse(Packet& p, uint8_t* frame, uint32_t length);

}  // namespace guideway::path
