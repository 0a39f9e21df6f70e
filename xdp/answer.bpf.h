// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// What is asked of the gateway itself, in the place of its addresses: who has an announced one, and whether a VIP is
// there. As the path's announce and answer do it, but that an echo reply goes back the way that its request came.
#pragma once

#include "xdp/balance.bpf.h"

enum { ARP_REPLY = 2 };
enum { ECHO_REPLY = 0, ECHO_REPLY6 = 129, ND_ADVERTISEMENT = 136 };
enum { ND_HOP_LIMIT = 255, ND_SOLICITED = 0x40000000, ND_OVERRIDE = 0x20000000, ND_TARGET_MAC = 2 };

// A neighbour advertisement, RFC 4861, 4.4, as it stands behind the Ethernet header.
struct advertisement {
  struct ipv6hdr ip;
  __u8 type;
  __u8 code;
  __sum16 checksum;
  __be32 flags;
  struct gw_address target;
  __u8 option;
  __u8 units; /* of 8 bytes */
  __u8 mac[6];
};

static __always_inline __u32 flags_of(const struct gw_address *address) {
  const struct gw_address_value *a = bpf_map_lookup_elem(&addresses, address);
  return a ? a->flags : 0;
}

// RFC 8200, 8.1, without what is summed.
static __always_inline __u64 pseudo_sum(const struct gw_address *a, const struct gw_address *b, __u32 length) {
  __u64 words[4];
  __builtin_memcpy(&words[0], a, sizeof *a);
  __builtin_memcpy(&words[2], b, sizeof *b);
  __u64 sum = bpf_htons(length) + (__u64)bpf_htons(IPPROTO_ICMPV6);
  for (int i = 0; i < 4; ++i) sum += (words[i] & 0xffffffff) + (words[i] >> 32);
  return sum;
}

static __always_inline int answer_request(struct xdp_md *ctx, const struct packet *p, const struct gw_port *port) {
  void *end = (void *)(long)ctx->data_end;
  struct ethhdr *ethernet = (void *)(long)ctx->data;
  struct arp *arp = l3_of(ctx, p);
  if ((void *)(ethernet + 1) > end || (void *)(arp + 1) > end) return count_drop(GW_DROP_TRUNCATED);
  if (!(flags_of(&p->destination.address) & GW_ADDRESS_ANSWERED)) return count_drop(GW_DROP_NOT_ANNOUNCED);
  arp->operation = bpf_htons(ARP_REPLY);
  __builtin_memcpy(arp->target_mac, arp->sender_mac, sizeof arp->target_mac);
  __builtin_memcpy(arp->target, arp->sender, sizeof arp->target);
  __builtin_memcpy(arp->sender_mac, port->mac, sizeof arp->sender_mac);
  __builtin_memcpy(arp->sender, &p->destination.address.bytes[12], sizeof arp->sender);
  __builtin_memcpy(ethernet->h_dest, ethernet->h_source, sizeof ethernet->h_dest);
  __builtin_memcpy(ethernet->h_source, port->mac, sizeof ethernet->h_source);
  return bpf_redirect(ctx->ingress_ifindex, 0);
}

static __always_inline int answer_solicitation(struct xdp_md *ctx, const struct packet *p, const struct gw_port *port) {
  void *end = (void *)(long)ctx->data_end;
  struct ipv6hdr *ip = l3_of(ctx, p);
  struct icmp *icmp = (void *)(ip + 1);
  if ((void *)(icmp + 1) > end) return count_drop(GW_DROP_TRUNCATED);
  if (p->l4 != p->l3 + sizeof *ip) return count_drop(GW_DROP_ICMP_UNSUPPORTED);
  const __u32 length = bpf_ntohs(ip->payload_len);
  long behind = end - (void *)icmp;
  asm volatile("" : "+r"(behind));  // or the length is added to the pointer, which Linux 6.1 takes for unbounded
  behind -= length;
  if (behind < 0 || length < sizeof *icmp + sizeof p->destination.address) return count_drop(GW_DROP_TRUNCATED);
  const struct gw_address to = ipv6(&ip->daddr);
  const int valid = ip->hop_limit == ND_HOP_LIMIT && icmp->code == 0;
  if (behind > 0 && bpf_xdp_adjust_tail(ctx, -(int)behind)) return count_drop(GW_DROP_TRUNCATED);
  const __u64 sum = gw_sum_to_end(ctx, p->l4) + pseudo_sum(&p->client, &to, length);
  if (!valid || fold(sum) != 0xffff) return count_drop(GW_DROP_BAD_QUESTION);
  if (!(flags_of(&p->destination.address) & GW_ADDRESS_ANSWERED)) return count_drop(GW_DROP_NOT_ANNOUNCED);

  const int size = (long)ctx->data_end - (long)ctx->data;
  if (bpf_xdp_adjust_tail(ctx, (int)p->l3 + (int)sizeof(struct advertisement) - size))
    return count_drop(GW_DROP_NO_HEADROOM);
  end = (void *)(long)ctx->data_end;
  struct ethhdr *ethernet = (void *)(long)ctx->data;
  struct advertisement *a = l3_of(ctx, p);
  if ((void *)(ethernet + 1) > end || (void *)(a + 1) > end) return count_drop(GW_DROP_TRUNCATED);
  // One who has no address yet hears of it as everybody does.
  __u64 asker[2];
  __builtin_memcpy(asker, &p->client, sizeof asker);
  const int solicited = asker[0] || asker[1];
  struct gw_address answered = p->client;
  if (!solicited) {  // it is zero: ff02::1
    answered.bytes[0] = 0xff;
    answered.bytes[1] = 2;
    answered.bytes[15] = 1;
  }
  __builtin_memset(a, 0, sizeof *a);
  a->ip.version = 6;
  a->ip.payload_len = bpf_htons(sizeof *a - sizeof a->ip);
  a->ip.nexthdr = IPPROTO_ICMPV6;
  a->ip.hop_limit = ND_HOP_LIMIT;
  __builtin_memcpy(&a->ip.saddr, &p->destination.address, sizeof a->ip.saddr);
  __builtin_memcpy(&a->ip.daddr, &answered, sizeof a->ip.daddr);
  a->type = ND_ADVERTISEMENT;
  a->flags = bpf_htonl(ND_OVERRIDE | (solicited ? ND_SOLICITED : 0));
  a->target = p->destination.address;
  a->option = ND_TARGET_MAC;
  a->units = 1;
  __builtin_memcpy(a->mac, port->mac, sizeof a->mac);
  const __u64 whole = gw_sum_to_end(ctx, p->l4) + pseudo_sum(&p->destination.address, &answered,
                                                             sizeof(struct advertisement) - sizeof(struct ipv6hdr));
  a->checksum = ~fold(whole);
  __builtin_memcpy(ethernet->h_dest, ethernet->h_source, sizeof ethernet->h_dest);
  if (!solicited) {  // 33:33:00:00:00:01
    __builtin_memset(ethernet->h_dest, 0, sizeof ethernet->h_dest);
    ethernet->h_dest[0] = ethernet->h_dest[1] = 0x33;
    ethernet->h_dest[5] = 1;
  }
  __builtin_memcpy(ethernet->h_source, port->mac, sizeof ethernet->h_source);
  return bpf_redirect(ctx->ingress_ifindex, 0);
}

// Here the gateway is the host, so the checksum is its to judge.
static __always_inline int answer_echo(struct xdp_md *ctx, const struct packet *p) {
  struct outgoing o = {};
  const __u32 unsound = read_ip(ctx, p, &o);
  if (unsound) return count_drop(unsound);
  if (!(flags_of(&p->destination.address) & GW_ADDRESS_VIP)) return count_drop(GW_DROP_ICMP_UNSUPPORTED);
  __u64 sum = gw_sum_to_end(ctx, p->l4);
  if (p->ipv6) sum += pseudo_sum(&p->client, &p->destination.address, o.length - (p->l4 - p->l3));
  if (fold(sum) != 0xffff) return count_drop(GW_DROP_BAD_ICMP);

  void *end = (void *)(long)ctx->data_end;
  struct ethhdr *ethernet = (void *)(long)ctx->data;
  void *l3 = l3_of(ctx, p);
  struct icmp *icmp = (void *)(long)ctx->data + (p->l4 & 0xfff);
  struct iphdr *ip = l3;
  struct ipv6hdr *ip6 = l3;
  if ((void *)(ethernet + 1) > end || (void *)(icmp + 1) > end || (void *)(ip + 1) > end)
    return count_drop(GW_DROP_TRUNCATED);
  const __u8 type = p->ipv6 ? ECHO_REPLY6 : ECHO_REPLY;
  // RFC 1624: the type is the word's first byte.
  icmp->checksum = ~fold((__u64)(__u16)~icmp->checksum + (__u16)~icmp->type + type);
  icmp->type = type;
  if (p->ipv6) {
    if ((void *)(ip6 + 1) > end) return count_drop(GW_DROP_TRUNCATED);
    __builtin_memcpy(&ip6->saddr, &p->destination.address, sizeof ip6->saddr);
    __builtin_memcpy(&ip6->daddr, &p->client, sizeof ip6->daddr);
    ip6->hop_limit = TTL;
  } else {
    __builtin_memcpy(&ip->saddr, &p->destination.address.bytes[12], sizeof ip->saddr);
    __builtin_memcpy(&ip->daddr, &p->client.bytes[12], sizeof ip->daddr);
    ip->ttl = TTL;
    ip->check = 0;
    ip->check = ~header_sum(ctx, p, ip);
  }
  __u8 asker[6];
  __builtin_memcpy(asker, ethernet->h_source, sizeof asker);
  __builtin_memcpy(ethernet->h_source, ethernet->h_dest, sizeof asker);
  __builtin_memcpy(ethernet->h_dest, asker, sizeof asker);
  return bpf_redirect(ctx->ingress_ifindex, 0);
}

static __always_inline int answer(struct xdp_md *ctx, const struct packet *p) {
  if (p->echo) return answer_echo(ctx, p);
  const __u32 zero = 0;
  const struct gw_port *port = bpf_map_lookup_elem(&ports, &zero);
  if (!port) return leave(ctx, GW_DROP_NO_SOCKET);
  return p->ipv6 ? answer_solicitation(ctx, p, port) : answer_request(ctx, p, port);
}
