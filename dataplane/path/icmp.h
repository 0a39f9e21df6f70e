// ICMP errors belong to the flow that they quote (RFC 792, RFC 4443): their protocol, key and hashes are the quoted
// packet's with source and destination swapped, as the other end of the flow sends them. So every stage finds the real
// or the entry as for the flow itself, and any gateway of a group without state.
#pragma once

#include "dataplane/path/burst.h"

namespace guideway::path {

// Fills kind, protocol and key from the `length` bytes of ICMP at l4_offset. The quoted packet may be cut behind its
// ports. Errors: TRUNCATED; FRAGMENT, a later one is quoted; BAD_ICMP; ICMP_UNSUPPORTED, what has no flow.
net::DropReason parse_icmp(Packet& p, uint32_t length);

// nat: the error as the other side must see it, from and to the flow's translated ends, and the quoted packet
// translated back. The ICMP checksum follows by what has changed: a wrong one stays wrong.
void translate_error(const Packet& p, const Translation<net::Be32>& to);
void translate_error(const Packet& p, const Translation<net::IpAddress>& to);

}  // namespace guideway::path
