/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 * The decapsulator of the lab's servers, for kernels without ipip devices: takes an outer IPv4 or IPv6 header off and
 * hands the inner packet to the stack. It decides nothing: what isn't IP in IP passes untouched.
 *
 * It takes all such packets, not just those to this host's own address: on the lab's links none are in transit.
 */
// clang-format off
#include <linux/bpf.h>  // before bpf_helpers.h, which uses its types
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
// clang-format on

/* The length of the outer header, or 0 if there is none to take off; the EtherType of what is inside. */
static __always_inline int outer_length(void *start, void *end, __be16 *inner) {
  struct ethhdr *eth = start;
  if ((void *)(eth + 1) > end) return 0;
  __u8 next = 0;
  int length = 0;
  if (eth->h_proto == bpf_htons(ETH_P_IP)) {
    struct iphdr *ip = (void *)(eth + 1);
    if ((void *)(ip + 1) > end || ip->ihl != 5) return 0;
    if (ip->frag_off & bpf_htons(0x3fff)) return 0; /* a fragment holds no whole packet */
    next = ip->protocol;
    length = sizeof(*ip);
  } else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
    struct ipv6hdr *ip = (void *)(eth + 1);
    if ((void *)(ip + 1) > end) return 0;
    next = ip->nexthdr;
    length = sizeof(*ip);
  }
  *inner = bpf_htons(next == IPPROTO_IPIP ? ETH_P_IP : ETH_P_IPV6);
  return next == IPPROTO_IPIP || next == IPPROTO_IPV6 ? length : 0;
}

SEC("xdp")
int decap(struct xdp_md *ctx) {
  void *start = (void *)(long)ctx->data;
  void *end = (void *)(long)ctx->data_end;
  __be16 inner = 0;
  int length = outer_length(start, end, &inner);
  if (!length) return XDP_PASS;

  struct ethhdr eth;
  __builtin_memcpy(&eth, start, sizeof(eth));
  eth.h_proto = inner;
  if (bpf_xdp_adjust_head(ctx, length)) return XDP_DROP;
  start = (void *)(long)ctx->data;
  end = (void *)(long)ctx->data_end;
  if (start + sizeof(eth) > end) return XDP_DROP;
  __builtin_memcpy(start, &eth, sizeof(eth));
  return XDP_PASS;
}

char decap_license[] SEC("license") = "Dual BSD/GPL";
