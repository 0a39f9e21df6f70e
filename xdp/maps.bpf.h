// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The maps of the XDP program. All interfaces share those that the engine fills; sockets, heartbeats, counters and what
// is noted of packets are each one's own.
#pragma once

// clang-format off
#include <linux/bpf.h>  // before bpf_helpers.h, which uses its types
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
// clang-format on

#include "net/drop_reason.h"
#include "xdp/shared.h"

// Set in a twin of the program, which is on no interface and only says what that would do: it counts nothing, takes no
// token and remembers nothing. The verifier knows it, and leaves out what is never done.
const volatile __u32 rehearses = 0;

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, GW_MAX_ADDRESSES);
  __type(key, struct gw_address);
  __type(value, struct gw_address_value);
} addresses SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, GW_MAX_EXCEPTIONS);
  __uint(map_flags, BPF_F_NO_PREALLOC);  // there are few, mostly
  __type(key, struct gw_flow_key);
  __type(value, __u32);
} exceptions SEC(".maps");

// What the kernel has begun since an engine last took it in: those that came last, if there are more.
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, GW_MAX_BEGUN);
  __type(key, struct gw_flow_key);
  __type(value, struct gw_begun);
} begun SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct gw_ours);
} ours SEC(".maps");

// A datagram in fragments: RFC 791 tells them by all four; RFC 8200, 4.5, by the first three.
struct datagram {
  struct gw_address source;
  struct gw_address destination;
  __u32 id;
  __u32 protocol;
};

// What a datagram's first fragment tells of the later ones, which have no ports: those of one to an SNAT address that
// the host shares, to a port of ours; and those that the kernel has balanced.
struct first_fragment {
  __be16 client_port;
  __be16 vip_port;
  __u32 protocol;
};

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, GW_MAX_DATAGRAMS);
  __type(key, struct datagram);
  __type(value, struct first_fragment);
} datagrams SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, GW_MAX_QUEUES);
  __type(key, __u32);
  __type(value, __u32);
} sockets SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, GW_MAX_QUEUES);
  __type(key, __u32);
  __type(value, struct gw_heartbeat);
} heartbeats SEC(".maps");

// What the interface is as a port.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct gw_port);
} ports SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, GW_DROP_COUNT);
  __type(key, __u32);
  __type(value, __u64);
} drops SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, GW_COUNTS);
  __type(key, __u32);
  __type(value, __u64);
} counts SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct gw_settings);
} settings SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct gw_filter);
} filter SEC(".maps");

struct slot_segment {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, GW_SLOT_LINES);
  __type(key, __u32);
  __uint(value_size, sizeof(struct gw_line));
};

struct row_segment {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, GW_ROW_LINES);
  __type(key, __u32);
  __uint(value_size, sizeof(struct gw_line));
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, GW_MAX_BUCKETS);
  __type(key, __u32);
  __type(value, struct gw_bucket);
} buckets SEC(".maps");

// Prefixes that packets have come from of late, and gw_bucket::until of each.
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, GW_MAX_SOURCES);
  __type(key, struct gw_address);
  __type(value, __u64);
} sources SEC(".maps");

struct denied_segment {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, GW_DENIED_LINES);
  __type(key, __u32);
  __uint(value_size, sizeof(struct gw_line));
};

// An array of lines: the numbers of its segments, and these.
#define LINES(name, segment, segments)        \
  struct {                                    \
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); \
    __uint(max_entries, segments);            \
    __type(key, __u32);                       \
    __array(values, struct segment);          \
  } name SEC(".maps")

LINES(vips, row_segment, 1);
LINES(services, row_segment, GW_ROW_SEGMENTS);
LINES(slots, slot_segment, GW_SLOT_SEGMENTS);   // all Maglev tables
LINES(ordinals, row_segment, GW_ROW_SEGMENTS);  // a service's reals, by ordinal
LINES(ranges, row_segment, GW_RANGE_SEGMENTS);
LINES(reals, row_segment, GW_ROW_SEGMENTS);
LINES(routes, row_segment, GW_ROW_SEGMENTS);
LINES(next_hops, row_segment, GW_ROW_SEGMENTS);
LINES(recent, row_segment, 1);
LINES(denied, denied_segment, 1);
