// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// What is dropped before it costs the engine anything, of packets that are for the gateway.
#pragma once

#include "xdp/balance.bpf.h"

static __always_inline int is_full(const struct gw_line *line) { return line->words[GW_DENIED_PLACES - 1] != 0; }

static __always_inline const struct gw_line *denied_line(__u32 n) {
  return line_of(&denied, n % GW_DENIED_LINES, GW_DENIED_LINES);
}

static __always_inline int stands_in(const struct gw_line *line, __u64 hash) {
  for (int n = 0; n < GW_DENIED_PLACES; ++n)
    if (line->words[n] == hash) return 1;
  return 0;
}

// Whether the hash is in a line behind its own, which is full. As gw_beside_range.
__noinline int gw_stands_behind(__u64 hash) {
  for (__u32 i = 1; i < GW_DENIED_WAY; ++i) {
    const struct gw_line *line = denied_line((__u32)hash + i);
    if (!line) return 0;
    if (stands_in(line, hash)) return 1;
    if (!is_full(line)) return 0;
  }
  return 0;
}

// By each length in use: any prefix denies. As gw_beside_range.
__noinline int gw_denies(const struct gw_address *source, __u32 v6) {
  const __u32 zero = 0;
  const struct gw_filter *f = bpf_map_lookup_elem(&filter, &zero);
  if (!source || !f) return 0;
  v6 &= 1;
  __u64 address[2];
  __builtin_memcpy(address, source, sizeof address);
  for (__u32 i = 0; i < GW_MAX_DENIED_LENGTHS; ++i) {
    if (i >= f->counts[v6]) break;
    const struct gw_denied_length *l = &f->lengths[v6][i];
    const __u64 masked[2] = {address[0] & l->mask[0], address[1] & l->mask[1]};
    const __u64 hash = gw_denied_hash(l->seed, masked, v6);
    const struct gw_line *line = denied_line(hash);
    if (!line) return 0;
    if (stands_in(line, hash) || (is_full(line) && gw_stands_behind(hash))) return 1;
  }
  return 0;
}

static __always_inline int is_denied(const struct packet *p) {
  const __u32 zero = 0;
  const struct gw_filter *f = bpf_map_lookup_elem(&filter, &zero);
  const __u32 v6 = p->ipv6 != 0;
  return f && f->counts[v6] && gw_denies(&p->source, v6);
}

// What the engine would drop too, and by the same reason: the lengths that headers say, and impossible sources. Its
// IPv4 checksum, which costs more, stays the engine's to judge. As gw_beside_range.
__noinline __u32 gw_unsound(struct xdp_md *ctx, struct packet *p) {
  if (!p) return GW_DROP_NONE;
  __u32 length = 0;
  const __u32 unsound = judge_ip(ctx, p, 0, &length);
  if (unsound || p->icmp || !p->flow || p->fragment == LATER_FRAGMENT) return unsound;
  return read_l4(ctx, p, length);
}

// ---- how often

// Takes a token; false if there is none. Other CPUs take theirs meanwhile.
static __always_inline int pays(__u64 *until, const struct gw_rate *rate, __u64 now) {
  const __u64 was = *(volatile __u64 *)until;
  if (was > now && was - now > rate->burst) return 0;
  if (rehearses) return 1;
  if (was <= now && __sync_val_compare_and_swap(until, was, now + rate->interval) == was) return 1;
  __sync_fetch_and_add(until, rate->interval);
  return 1;
}

static __always_inline int source_pays(const struct gw_address *source, __u32 v6, __u64 now) {
  const struct gw_settings *s = the_settings();
  if (!s || !s->source_rate.rate.interval) return 1;
  __u64 address[2];
  __builtin_memcpy(address, source, sizeof address);
  address[0] &= s->source_rate.masks[v6 & 1][0];
  address[1] &= s->source_rate.masks[v6 & 1][1];
  struct gw_address key;
  __builtin_memcpy(&key, address, sizeof key);
  __u64 *until = bpf_map_lookup_elem(&sources, &key);
  if (until) return pays(until, &s->source_rate.rate, now);
  if (rehearses) return 1;
  const __u64 first = now + s->source_rate.rate.interval;
  bpf_map_update_elem(&sources, &key, &first, BPF_ANY);
  return 1;
}

// Of what comes to a VIP. A source that is over its rate takes nothing of the VIP's. A drop reason, or none. As
// gw_beside_range.
__noinline __u32 gw_too_often(const struct gw_address *source, __u32 v6, __u32 bucket) {
  if (!source) return GW_DROP_NONE;
  const __u64 now = bpf_ktime_get_ns() * GW_RATE_UNITS;
  if (!source_pays(source, v6, now)) return GW_DROP_SOURCE_RATE;
  if (!bucket) return GW_DROP_NONE;
  struct gw_bucket *b = bpf_map_lookup_elem(&buckets, &bucket);
  if (!b || !b->rate.interval || pays(&b->until, &b->rate, now)) return GW_DROP_NONE;
  return GW_DROP_VIP_RATE;
}

static __always_inline __u32 too_often(const struct packet *p, const struct gw_service *service) {
  const struct gw_settings *s = the_settings();
  if (!service || (!service->bucket && !(s && s->source_rate.rate.interval))) return GW_DROP_NONE;
  return gw_too_often(&p->source, p->ipv6 != 0, service->bucket);
}
