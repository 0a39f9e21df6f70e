#include "dataplane/path/sctp.h"

#include <nmmintrin.h>

#include <cstring>

#include "dataplane/path/burst.h"

namespace guideway::path {

namespace {

uint8_t effect_of(uint8_t chunk) {
  switch (chunk) {
    case net::kSctpInit:
      return kOpens;
    case net::kSctpShutdown:
    case net::kSctpShutdownAck:
      return kCloses;
    case net::kSctpAbort:
    case net::kSctpShutdownComplete:
      return kResets;
    default:
      return 0;
  }
}

// CRC32c of `first`, and of `length` bytes of zero behind it, without its inversions, by the instruction that every
// processor of x86-64-v2 has.
uint32_t crc32c_padded(uint32_t first, uint32_t length) {
  uint64_t crc = _mm_crc32_u32(0, first);
  for (; length >= 8; length -= 8) crc = _mm_crc32_u64(crc, 0);
  for (; length > 0; --length) crc = _mm_crc32_u8(static_cast<uint32_t>(crc), 0);
  return static_cast<uint32_t>(crc);
}

}  // namespace

uint8_t sctp_effect(const uint8_t* chunks, uint32_t length) {
  uint8_t effect = 0;
  for (unsigned n = 0; n < kMaxChunks && length >= sizeof(net::SctpChunk); ++n) {
    const auto* chunk = reinterpret_cast<const net::SctpChunk*>(chunks);
    effect = static_cast<uint8_t>(effect | effect_of(chunk->type));
    const uint32_t size = (chunk->length.host() + 3U) & ~3U;
    if (size < sizeof *chunk || size > length) break;
    chunks += size;
    length -= size;
  }
  return effect;
}

void set_sctp_ports(uint8_t* l4, uint32_t length, uint32_t ports) {
  uint32_t before;
  std::memcpy(&before, l4, sizeof before);
  std::memcpy(l4, &ports, sizeof ports);
  uint32_t checksum;  // its low byte comes first (RFC 9260, appendix A)
  uint8_t* at = l4 + offsetof(net::SctpHeader, checksum);
  std::memcpy(&checksum, at, sizeof checksum);
  checksum ^= crc32c_padded(before ^ ports, length - static_cast<uint32_t>(sizeof ports));
  std::memcpy(at, &checksum, sizeof checksum);
}

}  // namespace guideway::path
