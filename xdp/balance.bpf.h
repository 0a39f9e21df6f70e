// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// VIP → real → out, as the engine's path does it and by the same tables, while no worker takes what comes. It goes by
// no state but what a datagram's first fragment tells; what needs more (nat) waits for the worker, or is dropped if
// there is none. Which connections it begins it notes for the engine.
#pragma once

#include "net/flow_hash.h"
#include "xdp/parse.bpf.h"

enum { SCTP_HEADER = 12, SCTP_LEAST = 16, SCTP_INIT = 1 };  // the least: its header and a chunk's
enum { FIB_IPV4 = 2, FIB_IPV6 = 10 };                       // as AF_INET and AF_INET6
enum { ETHERNET = 14, VLAN = 4, GUE_PORT = 6080, TTL = 64, IPV4_DONT_FRAGMENT = 0x4000 };

static __always_inline int count_drop(__u32 reason) {
  if (rehearses) return XDP_DROP | reason << GW_REHEARSED_REASON;
  __u64 *counter = bpf_map_lookup_elem(&drops, &reason);
  if (counter) ++*counter;
  return XDP_DROP;
}

static __always_inline void count(__u32 what) {
  if (rehearses) return;
  __u64 *counter = bpf_map_lookup_elem(&counts, &what);
  if (counter) ++*counter;
}

// What only an engine serves: into the socket that its worker will come back to, or dropped where there is none.
static __always_inline int leave(struct xdp_md *ctx, __u32 reason) {
  const __u32 queue = ctx->rx_queue_index;
  if (bpf_map_lookup_elem(&sockets, &queue)) return bpf_redirect_map(&sockets, queue, XDP_DROP);
  return count_drop(reason);
}

// ---- which real

#define NO_REAL 0xffffffffU
#define MOVED (1ULL << 32)

static __always_inline void *line_of(void *array, __u32 line, __u32 lines_of_segment) {
  const __u32 segment = line / lines_of_segment;
  void *lines = bpf_map_lookup_elem(array, &segment);
  if (!lines) return 0;
  const __u32 at = line % lines_of_segment;
  return bpf_map_lookup_elem(lines, &at);
}

static __always_inline const struct gw_settings *the_settings(void) {
  const __u32 zero = 0;
  return bpf_map_lookup_elem(&settings, &zero);
}

static __always_inline __u64 hash_of(const struct packet *p, int client_alone) {
  const struct gw_settings *s = the_settings();
  const __u64 seed = s ? s->hash_seed : 0;
  __u64 client[2], vip[2] = {};
  __u32 ports = 0, protocol = 0;
  __builtin_memcpy(client, &p->client, sizeof client);
  if (!client_alone) {
    __builtin_memcpy(vip, &p->destination.address, sizeof vip);
    ports = p->client_port | (__u32)p->vip_port << 16;
    protocol = p->flow;
  }
  if (p->ipv6) return gw_flow_hash6(seed, client, vip, ports, protocol);
  return gw_flow_hash4(seed, client[1] >> 32 | (vip[1] >> 32 << 32), ports, protocol);
}

static __always_inline const struct gw_served *served_by(__u64 word) {
  return line_of(&services, word & ((1 << GW_VIP_ROW_BITS) - 1), GW_ROW_LINES);
}

static __always_inline int serves(const struct gw_served *s, const __u64 vip[3]) {
  __u64 key[3];
  __builtin_memcpy(key, &s->vip, sizeof key);
  return key[0] == vip[0] && key[1] == vip[1] && key[2] == vip[2];
}

// The VIP's word, or 0, wherever it may stand. As gw_beside_range.
__noinline __u64 gw_find_vip(const struct gw_vip_key *vip) {
  if (!vip) return 0;
  __u64 key[3];
  __builtin_memcpy(key, vip, sizeof key);
  const __u64 hash = gw_vip_hash(key);
  for (__u32 i = 0; i < GW_VIP_WAY * GW_VIP_PLACES; ++i) {
    const struct gw_line *line = line_of(&vips, gw_vip_line(hash, i / GW_VIP_PLACES), GW_VIP_LINES);
    if (!line) return 0;
    const __u64 word = line->words[i % GW_VIP_PLACES];
    if (!word) return 0;
    if ((word ^ hash) >> GW_VIP_ROW_BITS) continue;
    const struct gw_served *s = served_by(word);
    if (s && serves(s, key)) return word;
  }
  return 0;
}

// What a VIP's packets are balanced by, if it is one: mostly found in its own line, in the one row that the hash's bits
// there lead to.
static __always_inline const struct gw_service *service_of_vip(const struct gw_vip_key *vip) {
  __u64 key[3];
  __builtin_memcpy(key, vip, sizeof key);
  const __u64 hash = gw_vip_hash(key);
  const struct gw_line *line = line_of(&vips, gw_vip_line(hash, 0), GW_VIP_LINES);
  if (!line) return 0;
  __u64 word = 0;
  for (int n = 0; n < GW_VIP_PLACES; ++n)
    if (!((line->words[n] ^ hash) >> GW_VIP_ROW_BITS)) word = line->words[n];
  if (!word && !line->words[GW_VIP_PLACES - 1]) return 0;
  if (word) {
    const struct gw_served *s = served_by(word);
    if (s && serves(s, key)) return &s->service;
  }
  word = gw_find_vip(vip);
  const struct gw_served *s = word ? served_by(word) : 0;
  if (!s) return 0;
  return &s->service;
}

// A service of the port itself wins over one of all ports.
static __always_inline const struct gw_service *service_of(const struct packet *p) {
  struct gw_vip_key key = p->destination;
  set_port(&key, p->vip_port, p->flow);
  const struct gw_service *s = service_of_vip(&key);
  if (s) return s;
  key.port = 0;
  return service_of_vip(&key);
}

static __always_inline const struct gw_real *real_at(__u32 index) { return line_of(&reals, index, GW_ROW_LINES); }

// Of a connection that may stand: its real may be gone, and it goes on.
static __always_inline int goes_on(const struct packet *p) { return p->flow != IPPROTO_UDP && !p->opens; }

static __always_inline struct gw_flow_key key_of(const struct packet *p) {
  const struct gw_flow_key key = {.client = p->client,
                                  .vip = p->destination.address,
                                  .client_port = p->client_port,
                                  .vip_port = p->vip_port,
                                  .protocol = p->flow};
  return key;
}

static __always_inline int may_take(const struct packet *p, __u32 index) {
  if (goes_on(p)) return 1;
  const struct gw_real *real = real_at(index);
  return real && !(real->flags & GW_REAL_GONE);
}

// What a worker has noted of the flow.
static __always_inline __u32 real_by_worker(__u64 hash) {
  const struct gw_recent *line = line_of(&recent, hash % GW_RECENT_LINES, GW_ROW_LINES);
  if (!line) return NO_REAL;
  for (int i = 0; i < 4; ++i) {
    const __u64 value = line->places[i].value;
    if (value && (line->places[i].check ^ value) == hash) return value;
  }
  return NO_REAL;
}

// That of a connection off its slot, if this is one's. What we have begun ourselves comes first, then what a worker
// has: an exception may be an earlier connection's of the same ports. As gw_beside_range.
__noinline __u32 gw_real_off_slot(const struct packet *p, __u64 hash) {
  if (!p) return NO_REAL;
  const struct gw_flow_key key = key_of(p);
  const struct gw_begun *b = bpf_map_lookup_elem(&begun, &key);
  if (b) {
    const struct gw_real *real = real_at(b->row);
    if (real && same(&real->address, &b->real) && may_take(p, b->row)) return b->row;
  }
  const __u32 by_worker = real_by_worker(hash);
  if (by_worker != NO_REAL && may_take(p, by_worker)) return by_worker;
  const __u32 *index = bpf_map_lookup_elem(&exceptions, &key);
  return index && may_take(p, *index) ? *index : NO_REAL;
}

// The real that Maglev alone picks, or NO_REAL; with MOVED, if that slot has exceptions.
static __always_inline __u64 pick(const struct gw_table *t, __u64 hash) {
  const __u32 slot = t->offset + gw_slot(hash, t->size);
  const __u16 *slot_line = line_of(&slots, slot / 32, GW_SLOT_LINES);
  if (!slot_line) return NO_REAL;
  const __u16 value = slot_line[slot % 32];
  const __u32 ordinal = t->ordinals + (value & GW_SLOT_ORDINAL);
  const __u32 *ordinal_line = line_of(&ordinals, ordinal / 16, GW_ROW_LINES);
  if (!ordinal_line) return NO_REAL;
  return ordinal_line[ordinal % 16] | (value & GW_SLOT_MOVED ? MOVED : 0);
}

// The number of its row, or NO_REAL. `hash`: the flow's.
static __always_inline __u32 real_by(const struct packet *p, const struct gw_table *t, int affinity, __u64 hash) {
  const __u64 picked = pick(t, affinity ? hash_of(p, 1) : hash);
  // What opens a connection belongs to none of before. Of clients, workers know which real they had.
  if ((affinity || picked & MOVED) && !p->opens) {
    const __u32 index = gw_real_off_slot(p, hash);
    if (index != NO_REAL) return index;
  }
  return (__u32)picked;
}

static __always_inline __u32 real_of(const struct packet *p, const struct gw_service *s, __u64 hash) {
  if (s->former.size) {
    const __u32 index = real_by(p, &s->former, s->flags & GW_SERVICE_FORMER_AFFINITY, hash);
    if (index != NO_REAL && may_take(p, index)) return index;
  }
  return real_by(p, &s->table, s->flags & GW_SERVICE_AFFINITY, hash);
}

// Of what may begin a connection: so that it stays with this real once an engine is there. As gw_beside_range.
__noinline int gw_note(const struct packet *p, const struct gw_real *real, __u32 row) {
  if (!p || !real || rehearses) return 0;
  const struct gw_flow_key key = key_of(p);
  // A SYN begins it anew, a datagram doesn't.
  if (!p->opens && bpf_map_lookup_elem(&begun, &key)) return 0;
  const struct gw_begun value = {real->address, row, 0};
  return bpf_map_update_elem(&begun, &key, &value, BPF_ANY);
}

// ---- who may

static __always_inline int in_range(const struct gw_address_range *r, const __u64 address[2]) {
  return (address[0] & r->mask[0]) == r->value[0] && (address[1] & r->mask[1]) == r->value[1];
}

// What we sent ourselves, encapsulated or translated, and that comes back in.
static __always_inline int is_ours(const struct gw_address *source) {
  __u64 address[2];
  __builtin_memcpy(address, source, sizeof address);
  const __u32 zero = 0, bit = gw_ours_bit(address);
  const struct gw_ours *may = bpf_map_lookup_elem(&ours, &zero);
  if (may && may->words[bit / 64] >> bit % 64 & 1) {
    const struct gw_address_value *a = bpf_map_lookup_elem(&addresses, source);
    if (a && a->flags & GW_ADDRESS_OURS) return 1;
  }
  const struct gw_settings *s = the_settings();
  return s && (in_range(&s->encap_sources[0], address) || in_range(&s->encap_sources[1], address));
}

// As in lb::source_ranges(): a mapped address isn't among the IPv6 ones.
struct place {
  __u64 family;
  __u64 high;
  __u64 low;
};

static __always_inline struct place place_of(const struct gw_address *a) {
  __u64 words[2];
  __builtin_memcpy(words, a, sizeof words);
  const __u64 high = bpf_be64_to_cpu(words[0]), low = bpf_be64_to_cpu(words[1]);
  const struct place p = {high != 0 || low >> 32 != 0xffff, high, low};
  return p;
}

static __always_inline int before(const struct place *a, const struct place *b) {
  if (a->family != b->family) return a->family < b->family;
  return a->high != b->high ? a->high < b->high : a->low < b->low;
}

// Where it is of that range: -1 before it, 0 in it, 1 behind it. A function of its own, not static: the verifier then
// looks at it once, and not for each way that leads here.
__noinline int gw_beside_range(const struct gw_address *client, __u32 at) {
  if (!client) return -1;
  const struct gw_range *two = line_of(&ranges, at / 2, GW_ROW_LINES);
  if (!two) return -1;
  const struct place asked = place_of(client);
  const struct place first = place_of(&two[at % 2].first), last = place_of(&two[at % 2].last);
  if (before(&asked, &first)) return -1;
  return before(&last, &asked);
}

// As gw_beside_range.
__noinline int gw_admits(const struct gw_service *s, const struct gw_address *client) {
  if (!s || !client) return 0;
  __u32 from = 0, to = s->range_count;  // how many of them begin at or before it
  for (int i = 0; i < 11; ++i) {
    if (from >= to) break;
    const __u32 middle = (from + to) / 2;
    if (gw_beside_range(client, s->ranges + middle) < 0)
      to = middle;
    else
      from = middle + 1;
  }
  const int held = from > 0 && !gw_beside_range(client, s->ranges + from - 1);
  return held != ((s->flags & GW_SERVICE_DENY) != 0);
}

// ---- what it is sent as

// What is known of a packet before its bytes move.
struct outgoing {
  const struct gw_real *real;
  const struct gw_next_hop *hop;
  __u64 hash;
  __u64 sum;  // of the packet inside, for GUE over IPv6
  __u16 length;
  __u8 tos;
  __u8 mode;
};

// The verifier wants to see that it isn't far.
static __always_inline void *l3_of(struct xdp_md *ctx, const struct packet *p) {
  return (void *)(long)ctx->data + (p->l3 & 31);
}

static __always_inline __u16 fold(__u64 sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return (sum & 0xffff) + (sum >> 16);
}

// One's complement sum of what begins `from` bytes, below 4,096, into the frame and ends where that does. As
// gw_beside_range.
__noinline __u32 gw_sum_to_end(struct xdp_md *ctx, __u32 from) {
  void *end = (void *)(long)ctx->data_end;
  void *at = (void *)(long)ctx->data + (from & 0xfff);
  __u64 sum = 0;
  for (int i = 0; i < 512; ++i) {
    if (at + 8 > end) break;
    const __u64 word = *(__u64 *)at;
    sum += (word & 0xffffffff) + (word >> 32);
    at += 8;
  }
  for (int i = 0; i < 4; ++i) {
    if (at + 2 > end) break;
    sum += *(__u16 *)at;
    at += 2;
  }
  if (at + 1 <= end) sum += *(__u8 *)at;
  return fold(sum);
}

// Of an IPv4 address.
static __always_inline __be32 word_of(const struct gw_address *a) {
  __be32 word;
  __builtin_memcpy(&word, &a->bytes[12], sizeof word);
  return word;
}

// As encapsulation::sum_of_packet of the path: what the packet's own checksum covers sums up to the complement of its
// pseudo header, whose addresses are an IPv6 header's own; an IPv4 header sums up to nothing.
static __always_inline __u64 sum_of_packet(struct xdp_md *ctx, const struct packet *p, __u16 length) {
  void *end = (void *)(long)ctx->data_end;
  void *l3 = l3_of(ctx, p);
  const __u32 header = p->ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
  const struct udphdr *udp = l3 + header;
  int summed = p->fragment == WHOLE && !p->icmp && p->l4 == p->l3 + header;
  if (p->flow == IPPROTO_UDP)
    summed = summed && (void *)(udp + 1) <= end && udp->check != 0 && bpf_ntohs(udp->len) == length - header;
  else
    summed = summed && p->flow == IPPROTO_TCP;
  if (!summed) return gw_sum_to_end(ctx, p->l3);
  __u64 sum = 0;
  if (p->ipv6) {
    const __u64 *first = l3;
    if ((void *)(first + 1) > end) return 0;
    sum = (*first & 0xffffffff) + (*first >> 32);
  }
  __u64 pseudo = bpf_htons(p->flow) + (__u64)bpf_htons(length - header);
  if (!p->ipv6) pseudo += (__u64)word_of(&p->client) + word_of(&p->destination.address);
  return sum + (__u16)~fold(pseudo);
}

static __always_inline __u64 outer_source_bits(const struct outgoing *o) {
  return o->mode == GW_MODE_DSR_IPIP ? (o->hash << 32 | o->hash >> 32) & o->real->source_mask : 0;
}

// RFC 791, by words, which are summed before they are written.
static __always_inline int put_outer4(void *at, void *end, const struct outgoing *o, __u8 inside, __u16 length) {
  __be32 *h = at;
  if ((void *)(h + 5) > end) return 0;
  const __be32 length_word = bpf_htonl(0x45000000 | (__u32)o->tos << 16 | length);
  const __be32 fragment_word = bpf_htonl(IPV4_DONT_FRAGMENT);
  const __be32 protocol_word = bpf_htonl(TTL << 24 | (__u32)inside << 16);
  const __be32 source = word_of(&o->real->encap_source) | (__be32)(outer_source_bits(o) >> 32);
  const __be32 destination = word_of(&o->real->address);
  const __u16 sum = fold((__u64)length_word + fragment_word + protocol_word + source + destination);
  h[0] = length_word;
  h[1] = fragment_word;
  h[2] = protocol_word | (__be32)(__u16)~sum << 16;
  h[3] = source;
  h[4] = destination;
  return 1;
}

static __always_inline int put_outer6(void *at, void *end, const struct outgoing *o, __u8 inside, __u16 length) {
  struct ipv6hdr *h = at;
  if ((void *)(h + 1) > end) return 0;
  *(__be32 *)h = bpf_htonl(6U << 28 | (__u32)o->tos << 20 | ((__u32)o->hash & 0xfffff));
  h->payload_len = bpf_htons(length - sizeof *h);
  h->nexthdr = inside;
  h->hop_limit = TTL;
  __u64 source[2], destination[2], *addresses = (void *)&h->saddr;
  __builtin_memcpy(source, &o->real->encap_source, sizeof source);
  __builtin_memcpy(destination, &o->real->address, sizeof destination);
  addresses[0] = source[0];
  addresses[1] = source[1] | outer_source_bits(o);
  addresses[2] = destination[0];
  addresses[3] = destination[1];
  return 1;
}

// Behind the outer IP header, whose addresses it covers over IPv6.
static __always_inline int put_udp(void *at, void *end, const struct outgoing *o, __u16 length) {
  struct udphdr *udp = at;
  if ((void *)(udp + 1) > end) return 0;
  udp->source = bpf_htons(0xc000 | (o->hash & 0x3fff));
  udp->dest = bpf_htons(GUE_PORT);
  udp->len = bpf_htons(length);
  udp->check = 0;
  if (o->real->flags & GW_REAL_IPV4) return 1;
  __u64 sum = o->sum + udp->source + udp->dest + (__u64)udp->len * 2 + bpf_htons(IPPROTO_UDP);
  const __u32 *address = at - 32;
  for (int i = 0; i < 8; ++i) sum += address[i];
  const __u16 checksum = ~fold(sum);
  udp->check = checksum ? checksum : 0xffff;
  return 1;
}

// The frame anew around what IP had.
static __always_inline int put_headers(void *at, void *end, const struct packet *p, const struct outgoing *o,
                                       int tagged) {
  if (at + ETHERNET + VLAN > end) return 0;
  __be16 type = p->ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
  if (o->mode != GW_MODE_DSR_L2) type = o->real->flags & GW_REAL_IPV4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
  __u32 macs[3], *ethernet = at;
  __builtin_memcpy(macs, o->hop->macs, sizeof macs);
  for (int i = 0; i < 3; ++i) ethernet[i] = macs[i];
  at += sizeof macs;
  if (tagged) {
    struct vlan_tag *tag = at + 2;
    *(__be16 *)at = bpf_htons(ETH_P_8021Q);
    tag->tci = o->hop->vlan;
    at += VLAN;
  }
  *(__be16 *)at = type;
  at += sizeof type;
  if (o->mode == GW_MODE_DSR_L2) return 1;
  __u8 inside = p->ipv6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
  __u16 length = o->length;
  if (o->mode == GW_MODE_DSR_GUE) {
    inside = IPPROTO_UDP;
    length += 8;
  }
  if (o->real->flags & GW_REAL_IPV4) {
    if (!put_outer4(at, end, o, inside, length + sizeof(struct iphdr))) return 0;
    at += sizeof(struct iphdr);
  } else {
    if (!put_outer6(at, end, o, inside, length + sizeof(struct ipv6hdr))) return 0;
    at += sizeof(struct ipv6hdr);
  }
  return o->mode != GW_MODE_DSR_GUE || put_udp(at, end, o, length);
}

static __always_inline __u16 overhead(const struct outgoing *o) {
  if (o->mode == GW_MODE_DSR_L2) return 0;
  const __u16 ip = o->real->flags & GW_REAL_IPV4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
  return o->mode == GW_MODE_DSR_GUE ? ip + 8 : ip;
}

static __always_inline int transmit(struct xdp_md *ctx, const struct packet *p, const struct outgoing *o) {
  const int tagged = o->hop->vlan != 0;
  const int l2 = tagged ? ETHERNET + VLAN : ETHERNET;
  if (bpf_xdp_adjust_head(ctx, (int)p->l3 - l2 - overhead(o))) return count_drop(GW_DROP_NO_HEADROOM);
  if (!put_headers((void *)(long)ctx->data, (void *)(long)ctx->data_end, p, o, tagged))
    return count_drop(GW_DROP_TRUNCATED);
  count(GW_COUNT_BALANCED);
  // Also where it came in: what a veth gets by XDP_TX waits there until something else comes, if its peer has no
  // program.
  return bpf_redirect(o->hop->ifindex, 0);
}

// ---- the whole

static __always_inline int is_mapped(const __u32 *word) { return !word[0] && !word[1] && word[2] == bpf_htonl(0xffff); }

// Addresses that no packet may have: as a source what RFC 1122, 3.2.1.3, and RFC 4291, 2.7 and 2.5, name; IPv4-mapped.
static __always_inline int is_impossible(const struct packet *p, const struct iphdr *ip, const struct ipv6hdr *ip6) {
  if (!p->ipv6) {
    const __u8 first = ip->saddr & 0xff;
    return first == 0 || first == 127 || first >= 224;
  }
  __u32 word[4], to[4];
  __builtin_memcpy(word, &ip6->saddr, sizeof word);
  __builtin_memcpy(to, &ip6->daddr, sizeof to);
  return (word[0] & 0xff) == 0xff || (!word[0] && !word[1] && !word[2] && !(word[3] & ~bpf_htonl(1))) ||
         is_mapped(word) || is_mapped(to);
}

// One's complement sum of an IPv4 header's options, unfolded. As gw_beside_range.
__noinline __u64 gw_sum_of_options(struct xdp_md *ctx, __u32 l3) {
  void *end = (void *)(long)ctx->data_end;
  const struct iphdr *ip = (void *)(long)ctx->data + (l3 & 31);
  if ((void *)(ip + 1) > end) return 0;
  const __u32 *word = (const void *)(ip + 1);
  __u64 sum = 0;
  for (__u32 i = 5; i < 15; ++i) {
    if (i >= ip->ihl) break;
    if ((void *)(word + 1) > end) return 0;
    sum += *word++;
  }
  return sum;
}

// One's complement sum of the IPv4 header: all ones if its checksum is right. Without options it takes no call, whose
// return is dear where the CPU has to be kept from guessing it.
static __always_inline __u16 header_sum(struct xdp_md *ctx, const struct packet *p, const struct iphdr *ip) {
  const __u32 *word = (const void *)ip;
  __u64 sum = (__u64)word[0] + word[1] + word[2] + word[3] + word[4];
  if (ip->ihl > 5) sum += gw_sum_of_options(ctx, p->l3);
  return fold(sum);
}

// Whether what IP says is sound, and the length that it says, which may be more than 16 bits hold. `summed`: its
// checksum too. A drop reason, or none.
static __always_inline __u32 judge_ip(struct xdp_md *ctx, const struct packet *p, int summed, __u32 *length) {
  void *end = (void *)(long)ctx->data_end;
  void *l3 = l3_of(ctx, p);
  const struct iphdr *ip = l3;
  const struct ipv6hdr *ip6 = l3;
  if ((void *)(ip + 1) > end) return GW_DROP_TRUNCATED;
  if (p->ipv6) {
    if ((void *)(ip6 + 1) > end) return GW_DROP_TRUNCATED;
    *length = bpf_ntohs(ip6->payload_len) + sizeof *ip6;
  } else {
    *length = bpf_ntohs(ip->tot_len);
    if (*length < ip->ihl * 4U) return GW_DROP_BAD_IP_HEADER;
  }
  if (end - l3 < (long)*length) return GW_DROP_TRUNCATED;
  if (summed && !p->ipv6 && header_sum(ctx, p, ip) != 0xffff) return GW_DROP_BAD_IP_CHECKSUM;
  return is_impossible(p, ip, ip6) ? GW_DROP_BAD_ADDRESS : GW_DROP_NONE;
}

// As judge_ip; with TOS, and what stands behind it is cut off. An ICMP message must be there as far as it was read.
static __always_inline __u32 read_ip(struct xdp_md *ctx, const struct packet *p, struct outgoing *o) {
  __u32 length;
  const __u32 unsound = judge_ip(ctx, p, 1, &length);
  if (unsound) return unsound;
  if (p->icmp && length < p->l4 - p->l3 + p->icmp_read) return GW_DROP_TRUNCATED;
  void *end = (void *)(long)ctx->data_end;
  void *l3 = l3_of(ctx, p);
  const struct iphdr *ip = l3;
  if ((void *)(ip + 1) > end) return GW_DROP_TRUNCATED;
  o->tos = p->ipv6 ? bpf_ntohs(*(__be16 *)l3) >> 4 : ip->tos;
  o->length = length;
  const long behind = end - l3 - (long)length;
  if (behind > 0 && bpf_xdp_adjust_tail(ctx, -(int)behind)) return GW_DROP_TRUNCATED;
  return GW_DROP_NONE;
}

// What is behind the IP header, of a datagram's first piece at least its header: whether that is sound, and opens a
// connection. It must be within the packet, not only in the frame, which may be padded. A drop reason, or none.
static __always_inline __u32 read_l4(struct xdp_md *ctx, struct packet *p, __u16 l3_length) {
  void *end = (void *)(long)ctx->data_end;
  void *l4 = (void *)(long)ctx->data + (p->l4 & 0xfff);
  const __u32 length = l3_length - (p->l4 - p->l3);
  const int whole = p->fragment == WHOLE;
  if (p->flow == IPPROTO_TCP) {
    const struct tcphdr *tcp = l4;
    if (length < sizeof *tcp || (void *)(tcp + 1) > end) return GW_DROP_TRUNCATED;
    if (tcp->doff < 5) return GW_DROP_BAD_L4_HEADER;
    if (tcp->doff * 4 > length) return whole ? GW_DROP_BAD_L4_HEADER : GW_DROP_TRUNCATED;
    p->opens = tcp->syn && !tcp->ack;
  } else if (p->flow == IPPROTO_UDP) {
    const struct udphdr *udp = l4;
    if (length < sizeof *udp || (void *)(udp + 1) > end) return GW_DROP_TRUNCATED;
    const __u16 said = bpf_ntohs(udp->len);
    if (said < sizeof *udp || (whole && said > length)) return GW_DROP_BAD_L4_HEADER;
  } else {
    if (length < SCTP_LEAST || l4 + SCTP_LEAST > end) return GW_DROP_TRUNCATED;
    p->opens = *(__u8 *)(l4 + SCTP_HEADER) == SCTP_INIT;
  }
  return GW_DROP_NONE;
}

static __always_inline const struct gw_next_hop *next_hop_of(const struct gw_route *route, __u64 hash) {
  // Other bits than Maglev's, or the flows of one real would all take one of its ways.
  __u32 n = route->count == 1 ? 0 : gw_slot(hash << 32, route->count);
  asm volatile("" : "+r"(n));  // or the comparison is made of another form of it than the address
  if (n >= GW_MAX_ECMP) return 0;
  const __u32 hop = route->hops[n];
  const struct gw_next_hop *two = line_of(&next_hops, hop / 2, GW_ROW_LINES);
  return two ? two + hop % 2 : 0;
}

static __always_inline int is_port(__u32 ifindex) {
  const struct gw_settings *s = the_settings();
  if (!s || !ifindex) return 0;
  for (int i = 0; i < GW_MAX_PORTS; ++i)
    if (s->ports[i] == ifindex) return 1;
  return 0;
}

// Where the engine knew no way, the kernel may know one by now: a route, or a neighbour that has answered since. Only
// by another port, untagged, and if the kernel may forward what comes in here. As gw_beside_range.
__noinline int gw_ask_fib(struct xdp_md *ctx, const struct gw_real *real, struct gw_next_hop *hop) {
  if (!real || !hop) return 0;
  struct bpf_fib_lookup fib = {.family = FIB_IPV6, .ifindex = ctx->ingress_ifindex};
  if (real->flags & GW_REAL_IPV4) {
    fib.family = FIB_IPV4;
    fib.ipv4_dst = word_of(&real->address);
  } else {
    __builtin_memcpy(fib.ipv6_dst, &real->address, sizeof fib.ipv6_dst);
  }
  if (bpf_fib_lookup(ctx, &fib, sizeof fib, 0) != BPF_FIB_LKUP_RET_SUCCESS || !is_port(fib.ifindex)) return 0;
  hop->unusable = 0;
  hop->ifindex = fib.ifindex;
  hop->mtu = fib.mtu_result;
  hop->vlan = 0;
  __builtin_memcpy(hop->macs, fib.dmac, sizeof fib.dmac);
  __builtin_memcpy(hop->macs + sizeof fib.dmac, fib.smac, sizeof fib.smac);
  return 1;
}

static __always_inline int leads_back(struct xdp_md *ctx, const struct gw_next_hop *hop) {
  const struct ethhdr *ethernet = (void *)(long)ctx->data;
  if ((void *)(ethernet + 1) > (void *)(long)ctx->data_end) return 1;
  return __builtin_memcmp(ethernet->h_source, hop->macs, 6) == 0;
}

// The ports of a datagram are its first fragment's.
static __always_inline int know_ports(struct packet *p) {
  if (p->fragment != LATER_FRAGMENT) return p->flow;
  const struct first_fragment *f = bpf_map_lookup_elem(&datagrams, &p->datagram);
  if (!f) return 0;
  p->client_port = f->client_port;
  p->vip_port = f->vip_port;
  p->flow = f->protocol;
  return p->flow;
}

// `found`: the packet's service, if that is known already.
static __always_inline int balance(struct xdp_md *ctx, struct packet *p, const struct gw_service *found) {
  if (!found) {
    if (!know_ports(p)) return leave(ctx, GW_DROP_NO_SOCKET);
    found = service_of(p);
    if (!found) return leave(ctx, GW_DROP_NO_SOCKET);
  }
  const struct gw_service service = *found;
  if (service.mode == GW_MODE_NAT) return leave(ctx, GW_DROP_NO_SOCKET);
  struct outgoing o = {.mode = service.mode};
  __u32 unsound = read_ip(ctx, p, &o);
  if (!unsound && p->fragment != LATER_FRAGMENT && !p->icmp) unsound = read_l4(ctx, p, o.length);
  if (unsound) return count_drop(unsound);
  if (is_ours(&p->client)) return count_drop(GW_DROP_LOOP);
  if (service.range_count && !gw_admits(&service, &p->client)) return count_drop(GW_DROP_SOURCE_DENIED);
  if (!service.table.size) return count_drop(GW_DROP_NO_BACKEND);
  if (p->fragment == FIRST_FRAGMENT && !rehearses) {
    const struct first_fragment f = {p->client_port, p->vip_port, p->flow};
    bpf_map_update_elem(&datagrams, &p->datagram, &f, BPF_ANY);
  }

  o.hash = hash_of(p, 0);
  const __u32 row = real_of(p, &service, o.hash);
  o.real = real_at(row);
  if (!o.real) return leave(ctx, GW_DROP_NO_SOCKET);
  const struct gw_route *route = line_of(&routes, o.real->route, GW_ROW_LINES);
  if (!route) return count_drop(GW_DROP_NO_ROUTE);
  if (service.mode == GW_MODE_DSR_L2 && !(o.real->flags & GW_REAL_ON_LINK)) return count_drop(GW_DROP_NOT_ON_LINK);
  __u32 lost = route->unusable;
  if (!lost) {
    o.hop = next_hop_of(route, o.hash);
    lost = o.hop ? o.hop->unusable : GW_DROP_NO_ROUTE;
  }
  struct gw_next_hop asked;
  if (lost) {
    __builtin_memset(&asked, 0, sizeof asked);
    if ((lost != GW_DROP_NO_ROUTE && lost != GW_DROP_NO_NEIGHBOR) || !gw_ask_fib(ctx, o.real, &asked))
      return count_drop(lost);
    o.hop = &asked;
  }
  if (service.mode == GW_MODE_DSR_L2 && leads_back(ctx, o.hop)) return count_drop(GW_DROP_LOOP);
  if (service.mode != GW_MODE_DSR_L2 && !(o.real->flags & GW_REAL_ENCAP_SOURCE))
    return count_drop(GW_DROP_NO_ENCAP_SOURCE);
  const __u16 mtu = service.mtu && service.mtu < o.hop->mtu ? service.mtu : o.hop->mtu;
  if (o.length + overhead(&o) > mtu) return leave(ctx, GW_DROP_MTU_EXCEEDED);
  if (service.mode == GW_MODE_DSR_GUE && !(o.real->flags & GW_REAL_IPV4)) o.sum = sum_of_packet(ctx, p, o.length);
  if (!goes_on(p) && !p->icmp) gw_note(p, o.real, row);
  return transmit(ctx, p, &o);
}
