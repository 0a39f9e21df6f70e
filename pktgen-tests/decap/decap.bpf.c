/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 * The decapsulator of the lab's servers, for kernels without ipip, ip6_tunnel and fou devices: takes an outer IPv4 or
 * IPv6 header off, with GUE's UDP header (variant 1, port 6080) if there is one, and hands the inner packet to the
 * stack, be it a fragment or whole. It decides nothing: what isn't encapsulated so passes untouched. As a kernel would,
 * it drops what has a wrong checksum in an outer header.
 *
 * It takes all such packets, not just those to this host's own address: on the lab's links none are in transit.
 */
// clang-format off
#include <linux/bpf.h>  // before bpf_helpers.h, which uses its types
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
// clang-format on

#define GUE_PORT 6080
#define LONGEST_WORDS 1024 /* of 16 bits: more than the lab's links carry */

struct outer {
  int length;   /* of all outer headers; 0: there is none to take off */
  __be16 inner; /* EtherType of what is inside */
  int wrong;    /* a checksum is */
};

/* The sum of the 16-bit words from `at` to `stop`, an odd byte at the end included. */
static __always_inline __u32 sum_words(void *at, void *stop, void *end) {
  __u32 sum = 0;
  for (int i = 0; i < LONGEST_WORDS; ++i) {
    if (at + 2 > stop || at + 2 > end) break;
    sum += *(__u16 *)at;
    at += 2;
  }
  if (at + 1 <= stop && at + 1 <= end) sum += *(__u8 *)at; /* little-endian hosts only, as all that we run on */
  return sum;
}

static __always_inline int is_right(__u32 sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return sum == 0xffff;
}

/* `addresses`: the two of the IP header, as part of the pseudo-header. RFC 768; RFC 8200, 8.1 has no zero checksum. */
static __always_inline void take_gue(struct udphdr *udp, void *addresses, int address_bytes, void *end,
                                     struct outer *outer) {
  __u8 *version = (void *)(udp + 1);
  if ((void *)(version + 1) > end || udp->dest != bpf_htons(GUE_PORT)) return;
  if (*version >> 4 == 4)
    outer->inner = bpf_htons(ETH_P_IP);
  else if (*version >> 4 == 6)
    outer->inner = bpf_htons(ETH_P_IPV6);
  else
    return; /* variant 0, or nothing of GUE's */
  outer->length += sizeof(*udp);
  if (udp->check == 0) {
    outer->wrong |= address_bytes == 32;
    return;
  }
  __u32 length = bpf_ntohs(udp->len);
  if (length > 2 * LONGEST_WORDS) { /* Linux 6.1's verifier knows no bound of a swapped number */
    outer->wrong = 1;
    return;
  }
  __u32 sum = sum_words(addresses, addresses + address_bytes, end) + bpf_htons(IPPROTO_UDP) + udp->len;
  sum += sum_words(udp, (void *)udp + length, end);
  outer->wrong |= !is_right(sum);
}

static __always_inline struct outer find_outer(void *start, void *end) {
  struct outer none = {}, outer = {};
  struct ethhdr *eth = start;
  if ((void *)(eth + 1) > end) return none;
  __u8 next = 0;
  if (eth->h_proto == bpf_htons(ETH_P_IP)) {
    struct iphdr *ip = (void *)(eth + 1);
    if ((void *)(ip + 1) > end || ip->ihl != 5) return none;
    if (ip->frag_off & bpf_htons(0x3fff)) return none; /* a fragment holds no whole packet */
    outer.length = sizeof(*ip);
    outer.wrong = !is_right(sum_words(ip, ip + 1, end));
    next = ip->protocol;
    struct udphdr *udp = (void *)(ip + 1);
    if (next == IPPROTO_UDP && (void *)(udp + 1) <= end) take_gue(udp, &ip->saddr, 8, end, &outer);
  } else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
    struct ipv6hdr *ip = (void *)(eth + 1);
    if ((void *)(ip + 1) > end) return none;
    outer.length = sizeof(*ip);
    next = ip->nexthdr;
    struct udphdr *udp = (void *)(ip + 1);
    if (next == IPPROTO_UDP && (void *)(udp + 1) <= end) take_gue(udp, &ip->saddr, 32, end, &outer);
  }
  if (next == IPPROTO_IPIP) outer.inner = bpf_htons(ETH_P_IP);
  if (next == IPPROTO_IPV6) outer.inner = bpf_htons(ETH_P_IPV6);
  return outer.inner ? outer : none;
}

SEC("xdp")
int decap(struct xdp_md *ctx) {
  void *start = (void *)(long)ctx->data;
  void *end = (void *)(long)ctx->data_end;
  struct outer outer = find_outer(start, end);
  if (!outer.length) return XDP_PASS;
  if (outer.wrong) return XDP_DROP;

  struct ethhdr eth;
  __builtin_memcpy(&eth, start, sizeof(eth));
  eth.h_proto = outer.inner;
  if (bpf_xdp_adjust_head(ctx, outer.length)) return XDP_DROP;
  start = (void *)(long)ctx->data;
  end = (void *)(long)ctx->data_end;
  if (start + sizeof(eth) > end) return XDP_DROP;
  __builtin_memcpy(start, &eth, sizeof(eth));
  return XDP_PASS;
}

char decap_license[] SEC("license") = "Dual BSD/GPL";
