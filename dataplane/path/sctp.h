// SCTP (RFC 9260): what its chunks do to an association, and its ports, which a checksum over all of the packet covers.
#pragma once

#include <cstdint>

namespace guideway::path {

inline constexpr unsigned kMaxChunks = 8;  // that are looked at

// Bits of Effect: INIT opens; SHUTDOWN and its acknowledgement close; ABORT and SHUTDOWN COMPLETE end it at once.
uint8_t sctp_effect(const uint8_t* chunks, uint32_t length);

// Both ports at once, as they stand in the packet; `length` bytes of the whole packet at `l4`. CRC32c is linear, so the
// checksum follows by that of what has changed: a wrong one stays wrong.
void set_sctp_ports(uint8_t* l4, uint32_t length, uint32_t ports);

}  // namespace guideway::path
