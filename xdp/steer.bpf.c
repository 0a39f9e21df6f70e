// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Steers what is the engine's to its AF_XDP sockets and passes everything else to the host, so that SSH, BGP and the
// kubelet go on. It balances nothing and changes no packet. Tagged frames are the host's.
// clang-format off
#include <linux/bpf.h>  // before bpf_helpers.h, which uses its types
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
// clang-format on

#include "net/drop_reason.h"
#include "xdp/shared.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, GW_MAX_VIPS);
  __type(key, struct gw_vip_key);
  __type(value, __u32);  // nothing yet; a set
} vips SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, GW_MAX_ADDRESSES);
  __type(key, struct gw_address);
  __type(value, struct gw_address_value);
} addresses SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, GW_MAX_QUEUES);
  __type(key, __u32);
  __type(value, __u32);
} sockets SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, GW_DROP_COUNT);
  __type(key, __u32);
  __type(value, __u64);
} drops SEC(".maps");

// What of a packet decides where it goes. Ports and ICMP types are read only where they exist.
struct packet {
  struct gw_vip_key destination;  // its port is 0 unless has_port
  __u8 icmp;
  __u8 fragment;
  __u8 has_port;
};

enum { IP_OFFSET_OR_MORE_FRAGMENTS = 0x3fff, IPV6_FRAGMENT_HEADER = 44 };
enum { ND_ROUTER_SOLICITATION = 133, ND_REDIRECT = 137 };  // RFC 4861: 133 to 137 is neighbour discovery

// The port of TCP and UDP stands at the same place. False if the packet ends before it.
static __always_inline int read_port(void *l4, void *end, struct packet *p) {
  __be16 *ports = l4;
  if ((void *)(ports + 2) > end) return 0;
  p->destination.port = ports[1];
  p->has_port = 1;
  return 1;
}

static __always_inline int is_tcp_or_udp(__u8 protocol) { return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP; }

// These return false for what the host shall judge: truncated, malformed or neighbour discovery.
static __always_inline int parse_ipv4(struct iphdr *ip, void *end, struct packet *p) {
  if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5) return 0;
  p->destination.address.bytes[10] = 0xff;
  p->destination.address.bytes[11] = 0xff;
  __builtin_memcpy(&p->destination.address.bytes[12], &ip->daddr, 4);
  p->destination.protocol = ip->protocol;
  p->fragment = (ip->frag_off & bpf_htons(IP_OFFSET_OR_MORE_FRAGMENTS)) != 0;
  if (p->fragment) return 1;
  p->icmp = ip->protocol == IPPROTO_ICMP;
  if (is_tcp_or_udp(ip->protocol)) return read_port((void *)ip + ip->ihl * 4, end, p);
  return 1;
}

static __always_inline int parse_ipv6(struct ipv6hdr *ip, void *end, struct packet *p) {
  if ((void *)(ip + 1) > end || ip->version != 6) return 0;
  __builtin_memcpy(&p->destination.address, &ip->daddr, sizeof p->destination.address);
  p->destination.protocol = ip->nexthdr;
  p->fragment = ip->nexthdr == IPV6_FRAGMENT_HEADER;
  if (is_tcp_or_udp(ip->nexthdr)) return read_port(ip + 1, end, p);
  if (ip->nexthdr == IPPROTO_ICMPV6) {
    struct icmp6hdr *icmp = (void *)(ip + 1);
    if ((void *)(icmp + 1) > end) return 0;
    if (icmp->icmp6_type >= ND_ROUTER_SOLICITATION && icmp->icmp6_type <= ND_REDIRECT) return 0;
    p->icmp = 1;
  }
  return 1;
}

static __always_inline int parse(void *begin, void *end, struct packet *p) {
  struct ethhdr *ethernet = begin;
  if ((void *)(ethernet + 1) > end) return 0;
  if (ethernet->h_proto == bpf_htons(ETH_P_IP)) return parse_ipv4((void *)(ethernet + 1), end, p);
  if (ethernet->h_proto == bpf_htons(ETH_P_IPV6)) return parse_ipv6((void *)(ethernet + 1), end, p);
  return 0;
}

static __always_inline int is_for_engine(const struct packet *p) {
  if (p->has_port && bpf_map_lookup_elem(&vips, &p->destination)) return 1;
  const struct gw_address_value *a = bpf_map_lookup_elem(&addresses, &p->destination.address);
  if (!a) return 0;
  if (a->flags & GW_ADDRESS_DEDICATED) return 1;
  if ((a->flags & GW_ADDRESS_VIP) && (p->icmp || p->fragment)) return 1;
  if (!(a->flags & GW_ADDRESS_SNAT) || !p->has_port) return 0;
  const __u16 port = bpf_ntohs(p->destination.port);
  return port >= a->port_min && port <= a->port_max;
}

static __always_inline int count_drop(__u32 reason) {
  __u64 *counter = bpf_map_lookup_elem(&drops, &reason);
  if (counter) ++*counter;
  return XDP_DROP;
}

SEC("xdp")
int gw_steer(struct xdp_md *ctx) {
  struct packet p = {};
  if (!parse((void *)(long)ctx->data, (void *)(long)ctx->data_end, &p)) return XDP_PASS;
  if (!is_for_engine(&p)) return XDP_PASS;
  // The redirect looks the queue's socket up itself and answers its last argument where there is none. Never the
  // host instead: it would answer a VIP's clients with RST.
  const int action = bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_DROP);
  return action == XDP_DROP ? count_drop(GW_DROP_NO_SOCKET) : action;
}

char LICENSE[] SEC("license") = "GPL";
