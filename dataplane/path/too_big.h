// The ICMP errors that we send: fragmentation needed (RFC 792, RFC 1191) and packet too big (RFC 4443).
#pragma once

#include "dataplane/path/burst.h"

namespace guideway::path {

// Whether a packet's sender is to be told that it is larger than `mtu`: it isn't where the packet is an error or an
// answer itself, a later fragment of IPv4, or as small as a sender can be asked to send.
bool is_told_too_big(const Packet& p, uint32_t mtu);

// Makes the packet, in its place, the error that tells the size that would fit: from where it was sent to, with as much
// of it as such an error may hold. False, and nothing has changed, if its buffer has no room for that.
bool become_too_big(Packet& p, uint32_t mtu);

}  // namespace guideway::path
