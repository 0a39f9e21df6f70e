/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 * What the XDP programs and their loader both see: keys and values of the pinned maps, and their limits.
 */
#pragma once

#include <linux/types.h>

#include "net/flow_hash.h"

/* Addresses are 16 bytes, IPv4 as ::ffff:a.b.c.d; ports in network order. Aligned, or programs copy them by the byte.
 */
struct gw_address {
  __u8 bytes[16] __attribute__((aligned(8)));
};

struct gw_vip_key {
  struct gw_address address;
  __u16 port; /* 0: every port of the protocol */
  __u8 protocol;
  __u8 zero[5];
};

/* How an address is steered beside its VIPs. */
enum gw_address_flag {
  GW_ADDRESS_VIP = 1,       /* ICMP and fragments go to the engine */
  GW_ADDRESS_SNAT = 2,      /* TCP, UDP and SCTP to [port_min, port_max], its fragments and ICMP errors about it too */
  GW_ADDRESS_DEDICATED = 4, /* everything IP but neighbour discovery goes to the engine */
  GW_ADDRESS_ANNOUNCED = 8, /* ARP requests and neighbour solicitations for it go to the engine */
  GW_ADDRESS_ANY_PORT = 16, /* one of its VIPs has port 0 */
  GW_ADDRESS_OURS = 32,     /* only we send from it: what comes from there is a loop. Nothing is steered for that */
  GW_ADDRESS_ANSWERED = 64, /* ANNOUNCED, and has a backend or needs none: answered. Nothing is steered for that */
};

struct gw_address_value {
  __u16 port_min; /* host order, inclusive */
  __u16 port_max;
  __u32 flags;
};

/* Value of `ours`: the bits of all addresses with GW_ADDRESS_OURS. Most sources have none of them, and needn't be
 * looked for among the addresses. */
enum { GW_OURS_BITS = 1024 };
struct gw_ours {
  __u64 words[GW_OURS_BITS / 64];
};

/* The highest bits of one of gw_mix's products, which depend on all of the address. */
static inline __u32 gw_ours_bit(const __u64 address[2]) {
  return gw_slot((address[0] ^ address[1]) * 0xff51afd7ed558ccdULL, GW_OURS_BITS);
}

/* ---- what the kernel balances by, where no engine listens: rows that the engine writes beside the programs that read
 * them, so that what others name comes first. */

/* As path::Mode has them. */
enum gw_mode { GW_MODE_DSR_L2, GW_MODE_DSR_IPIP, GW_MODE_DSR_GUE, GW_MODE_NAT };

enum gw_service_flag {
  GW_SERVICE_AFFINITY = 1,        /* the client's address alone asks the table */
  GW_SERVICE_DENY = 2,            /* clients in its ranges may not connect, instead of they alone */
  GW_SERVICE_FORMER_AFFINITY = 4, /* as GW_SERVICE_AFFINITY, for the former table */
};

/* A Maglev table, and what its slots' ordinals mean. */
struct gw_table {
  __u32 offset;   /* of its slots, in all of `slots` */
  __u32 size;     /* 0: there is none */
  __u32 ordinals; /* of its first, in all of `ordinals` */
};

/* What a VIP's packets are balanced by. */
struct gw_service {
  struct gw_table table;  /* none: no backend */
  struct gw_table former; /* asked first, if there is one: some of its connections aren't exceptions yet */
  __u32 ranges;           /* of its first, in all of `ranges` */
  __u16 range_count;      /* 0: every client may connect */
  __u16 mtu;              /* of the way to the reals, bytes of IP with the outer header; 0: the link's */
  __u8 mode;
  __u8 flags;
  __u16 bucket; /* index in `buckets`; 0: it may have any number of packets */
};

/* A row of `services`. */
struct gw_served {
  struct gw_service service; /* first, or clang adds to a pointer before it asks whether there is one */
  __u32 zero;
  struct gw_vip_key vip;
};

/* Clients from `first` to `last`, both included; a service's are in the order of lb::source_ranges(): IPv4, then IPv6.
 */
struct gw_range {
  struct gw_address first;
  struct gw_address last;
};
enum { GW_MAX_RANGES = 1024 }; /* of one service */

/* Key of `exceptions`, whose values are indices of reals: a connection off its slot, as net::FlowKey6 has it. */
struct gw_flow_key {
  struct gw_address client;
  struct gw_address vip;
  __be16 client_port;
  __be16 vip_port;
  __u32 protocol;
};

/* Value of `begun`, by gw_flow_key: a connection that the kernel has begun, and its real. By its address, for who reads
 * it may be an engine that numbers reals otherwise: the row is that real's only while it has that address. */
struct gw_begun {
  struct gw_address real;
  __u32 row;
  __u32 zero;
};

/* A slot: 16 bits, an ordinal in the service's list of reals; top bit: it has exceptions. */
enum { GW_SLOT_MOVED = 0x8000, GW_SLOT_ORDINAL = 0x7fff };

/* The arrays' elements. */
struct gw_line {
  __u64 words[8];
};

enum gw_real_flag {
  GW_REAL_IPV4 = 1,
  GW_REAL_ENCAP_SOURCE = 2, /* it has one */
  GW_REAL_ON_LINK = 4,      /* a neighbour, as dsr-l2 needs */
  GW_REAL_GONE = 8,         /* removed: connections to it may end, nothing else goes there */
};

struct gw_real {
  struct gw_address address;
  struct gw_address encap_source;
  __u64 source_mask; /* bits of the source's last 8 bytes, as they stand, that are the flow hash's in dsr-ipip */
  __u32 route;
  __u32 flags;
  __u64 zero[2];
};

enum { GW_MAX_ECMP = 14 };

struct gw_route {
  __u32 unusable; /* a gw_drop_reason, or 0 */
  __u32 count;
  __u32 hops[GW_MAX_ECMP];
};

struct gw_next_hop {
  __u32 unusable; /* a gw_drop_reason, or 0 */
  __u32 ifindex;
  __u16 mtu;     /* of the link, bytes of IP */
  __be16 vlan;   /* the tag's VID; 0: untagged */
  __u8 macs[12]; /* destination and source */
  __u64 zero;
};

/* A line of what workers have learnt of late, by the flow's hash: as path::Recent has it. */
struct gw_recent {
  struct {
    __u64 check; /* the flow's hash ^ value */
    __u64 value; /* the lower half: the real's row; 0: free */
  } places[4];
};

/* An array of lines is a map of segments, so that it takes memory as it grows: lines of a segment, and segments at
 * most. */
enum {
  GW_SLOT_LINES = 131072, /* 8 MB: 4,194,304 slots, 32 a line */
  GW_SLOT_SEGMENTS = 84,
  GW_ROW_LINES = 16384, /* 1 MB: ordinals, 16 of 32 bits a line; reals and routes; ranges and next hops, two a line */
  GW_ROW_SEGMENTS = 64,
  GW_RANGE_SEGMENTS = 1024,
  GW_RECENT_LINES = GW_ROW_LINES, /* one segment */
  GW_DENIED_LINES = 262144,       /* 16 MB, in one segment: half full with a million */
  GW_VIP_LINES = GW_ROW_LINES,    /* one segment: an eighth full with as many VIPs as an engine takes */
};

/* `vips` finds a VIP's row of `services`: each of its words is the upper bits of the VIP's hash and a row. It stands in
 * the line that the highest bits say, or, as lines are full, in one of those behind it. A VIP that changes gets another
 * row at the same place, and the place of one that has gone stays taken until another needs it: so whoever looks for a
 * VIP finds it, whatever comes and goes meanwhile. */
enum { GW_VIP_PLACES = 8, GW_VIP_WAY = 16, GW_VIP_ROW_BITS = 20, GW_VIP_GONE = 1 };

/* Without the bits that are the row's; neither 0 nor GW_VIP_GONE. It has no seed, for VIPs are the operator's. */
static inline __u64 gw_vip_hash(const __u64 key[3]) {
  const __u64 hash = gw_mix(key[0] * 0x9e3779b97f4a7c15ULL ^ key[1] ^ key[2] * 0xd6e8feb86659fd93ULL);
  return (hash >> GW_VIP_ROW_BITS | 1) << GW_VIP_ROW_BITS;
}

/* Of GW_VIP_LINES. */
static inline __u32 gw_vip_line(__u64 hash, __u32 further) {
  return (gw_slot(hash, GW_VIP_LINES) + further) % GW_VIP_LINES;
}

/* Addresses whose bits outside `mask` are `value`'s; of no address, if no mask makes it that. */
struct gw_address_range {
  __u64 value[2];
  __u64 mask[2];
};

/* Of the interface. */
struct gw_port {
  __u8 mac[6];
  __u8 zero[2];
};

/* Of a receive queue. */
struct gw_heartbeat {
  __u64 time; /* of its worker's last: ns of CLOCK_MONOTONIC_COARSE; 0: there was none yet */
  __u64 zero[7];
};

/* How often packets may come: a token each. In sixteenths of nanoseconds, so that many a second are told apart. */
struct gw_rate {
  __u64 interval; /* from one to the next; 0: as often as they like */
  __u64 burst;    /* of so much time come at once */
};
enum { GW_RATE_UNITS = 16 };

/* Value of `buckets`. */
struct gw_bucket {
  struct gw_rate rate;
  __u64 until; /* then all that has passed will have been paid for */
};

/* Of each prefix that a source may be in, for packets to VIPs. */
struct gw_source_rate {
  struct gw_rate rate;
  __u64 masks[2][2]; /* of the prefix, as it stands in an address: IPv4, then IPv6 */
};

enum { GW_MAX_PORTS = 16 };

struct gw_settings {
  __u64 hash_seed; /* the group's */
  __u64 heartbeat; /* ns: the age from which a heartbeat is one too few; 0: none is asked for */
  struct gw_address_range encap_sources[2]; /* what comes from there, we have encapsulated */
  struct gw_source_rate source_rate;
  __u32 ports[GW_MAX_PORTS]; /* ifindex of each, or 0 */
};

enum { GW_MAX_DENIED_LENGTHS = 32 }; /* of a family */

/* A length that is in use among the denied prefixes. */
struct gw_denied_length {
  __u64 mask[2]; /* of an address, as it stands */
  __u64 seed;    /* of the hashes of its prefixes, and of no other length's */
};

/* Value of `filter`: which lengths of each family, IPv4 first, are looked for among `denied`. */
struct gw_filter {
  __u32 counts[2];
  struct gw_denied_length lengths[2][GW_MAX_DENIED_LENGTHS];
};

/* `denied` is a set of hashes: each stands in the line that its lowest bits say, or, as lines are full, in one of those
 * behind it. A line's places are taken in order, and a free one is 0. */
enum { GW_DENIED_PLACES = 8, GW_DENIED_WAY = 16 };

/* Of a prefix, by its length's seed, which is secret. Of two IPv4 prefixes of a length no two are the same; of others
 * 2^-63 says how likely. */
static inline __u64 gw_denied_hash(__u64 seed, const __u64 masked[2], int v6) {
  const __u64 hash = gw_mix(v6 ? gw_mix(seed ^ masked[0]) ^ masked[1] : seed ^ masked[1]);
  return hash ? hash : 1;
}

/* What a program that rehearses returns has the drop reason from this bit on. */
enum { GW_REHEARSED_REASON = 8 };

enum gw_count {
  GW_COUNT_BALANCED, /* packets that the kernel gave to the interface that leads to a real */
  GW_COUNTS,
};

enum {
  GW_MAX_EXCEPTIONS = 262144, /* entries of `exceptions` */
  GW_MAX_BEGUN = 65536,       /* entries of `begun` */
  GW_MAX_ADDRESSES = 65536,   /* entries of `addresses` */
  GW_MAX_BUCKETS = 32768,     /* entries of `buckets`: of services, and of those that replace them */
  GW_MAX_SOURCES = 65536,     /* entries of `sources` */
  GW_MAX_DATAGRAMS = 4096,    /* entries of `datagrams` */
  GW_MAX_QUEUES = 256,        /* receive queues of one interface: entries of `sockets` and `heartbeats` */
};
