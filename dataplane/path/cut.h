// IPv4 fragmentation (RFC 791), for packets that allow it.
#pragma once

#include "dataplane/path/burst.h"

namespace guideway::path {

// Cuts a packet into pieces of at most `room` bytes. The first stays where it is; the others go into buffers of the
// same pool, behind the burst's received packets, with all that has been found out about the first. False, and the
// packet is as it was, where buffers or places are missing.
bool cut(Burst& burst, Packet& p, uint32_t room);

// The least room that a piece needs: the longest IPv4 header, and a TCP header up to its checksum, which nat changes.
inline constexpr uint32_t kLeastPiece = 60 + 24;

}  // namespace guideway::path
