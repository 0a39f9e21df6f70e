/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 * The flow hash: the same in the engine, in BPF and at every gateway of a group, for they must all pick the same real.
 * 64-bit multiply, exclusive-or and shift only, because BPF has no 128-bit product, CRC or AES.
 * Words are read from the packet as they stand (network order, little-endian loads).
 */
#pragma once

#ifdef __cplusplus
#include <cstdint>
typedef uint64_t gw_u64;
typedef uint32_t gw_u32;
#else
#include <linux/types.h>
typedef __u64 gw_u64;
typedef __u32 gw_u32;
#endif

/* Two rounds of multiply and fold; the constants are those of MurmurHash3's 64-bit finaliser (public domain). */
static inline gw_u64 gw_mix(gw_u64 h) {
  h *= 0xff51afd7ed558ccdULL;
  h ^= h >> 32;
  h *= 0xc4ceb9fe1a85ec53ULL;
  h ^= h >> 29;
  return h;
}

/* addresses: source in the low half, destination in the high one; ports likewise; protocol: IP protocol number.
 * The seed comes after the addresses, whose mix hashes by two seeds then share: no two have the same. It multiplies the
 * ports, or whoever chooses them could make up for other addresses whatever the seed. */
static inline gw_u64 gw_flow_hash4(gw_u64 seed, gw_u64 addresses, gw_u32 ports, gw_u32 protocol) {
  gw_u64 h = gw_mix(addresses);
  return gw_mix(h ^ seed ^ ((gw_u64)ports << 8 | protocol) * (seed | 1));
}

/* In line, or callers must have the addresses in memory, IPv4's too. */
static inline __attribute__((always_inline)) gw_u64 gw_flow_hash6(gw_u64 seed, const gw_u64 source[2],
                                                                  const gw_u64 destination[2], gw_u32 ports,
                                                                  gw_u32 protocol) {
  gw_u64 h = gw_mix(seed ^ source[0]);
  h = gw_mix(h ^ source[1]);
  h = gw_mix(h ^ destination[0]);
  h = gw_mix(h ^ destination[1]);
  return gw_mix(h ^ ((gw_u64)ports << 8 | protocol));
}

/* [0, size) from the hash's upper half, without a division: size below 2^32. */
static inline gw_u32 gw_slot(gw_u64 hash, gw_u32 size) { return (gw_u32)(((hash >> 32) * size) >> 32); }
