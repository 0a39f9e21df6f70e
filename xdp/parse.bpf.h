// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// From the frame to what decides where a packet goes. False is what the host shall judge.
#pragma once

#include "xdp/maps.bpf.h"

enum { WHOLE, FIRST_FRAGMENT, LATER_FRAGMENT };

// What of a packet decides where it goes. Ports and ICMP types are read only where they exist.
struct packet {
  struct gw_vip_key destination;  // its port is 0 unless has_port; of a question on the link: what is asked for
  struct gw_address source;
  struct gw_address client;  // of the flow: the source; or of an ICMP error, whom the quoted packet was for
  struct datagram datagram;  // of fragments
  __be16 client_port;        // of the flow
  __be16 vip_port;
  __u16 snat_port;  // host order: the destination's, or of an ICMP error the quoted packet's source
  __u16 l3;         // where the IP header begins
  __u16 l4;         // where what is behind it and its extensions does
  __u16 icmp_read;  // bytes of an ICMP message, of which the packet may have less than the frame
  __u8 flow;        // the flow's protocol; 0: it has none
  __u8 ipv6;
  __u8 has_port;
  __u8 has_snat_port;
  __u8 fragment;
  __u8 icmp;
  __u8 opens;  // a connection: TCP's SYN without ACK, SCTP's INIT
  __u8 asks;   // an ARP request or a neighbour solicitation
  __u8 echo;   // an echo request
};

enum { MAX_TAGS = 2, MAX_OPTIONS = 4, MAX_OPTIONS_OF_FRAGMENT = 2 };
enum { IPV4_OFFSET = 0x1fff, IPV4_MORE_FRAGMENTS = 0x2000 };
enum { IPV6_OFFSET = 0xfff8, IPV6_MORE_FRAGMENTS = 1 };
enum { IPV6_HOP_BY_HOP = 0, IPV6_ROUTING = 43, IPV6_FRAGMENT = 44, IPV6_DESTINATION = 60 };
enum { DESTINATION_UNREACHABLE = 3, ECHO_REQUEST = 8, TIME_EXCEEDED = 11, PARAMETER_PROBLEM = 12 };  // RFC 792
// RFC 4861: 133 to 137 is neighbour discovery. RFC 4443: errors are 1 to 4.
enum { ND_FIRST = 133, ND_SOLICITATION = 135, ND_LAST = 137, FIRST_ERROR6 = 1, LAST_ERROR6 = 4, ECHO_REQUEST6 = 128 };

struct vlan_tag {
  __be16 tci;
  __be16 type;
};

struct ipv6_extension {
  __u8 next;
  __u8 length;  // in units of 8 bytes, beyond the first 8
};

struct ipv6_fragment {
  __u8 next;
  __u8 reserved;
  __be16 offset;
  __be32 id;
};

struct icmp {
  __u8 type;
  __u8 code;
  __be16 checksum;
  __be32 rest;
};

// RFC 826, for Ethernet and IPv4.
struct arp {
  __be16 hardware;
  __be16 protocol;
  __u8 hardware_length;
  __u8 protocol_length;
  __be16 operation;
  __u8 sender_mac[6];
  __u8 sender[4];
  __u8 target_mac[6];
  __u8 target[4];
};

static __always_inline int has_ports(__u8 protocol) {
  return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

// By whole words, whose bytes then needn't be gathered when they are read again.
static __always_inline struct gw_address of_words(__u64 first, __u64 last) {
  const __u64 words[2] = {first, last};
  struct gw_address a;
  __builtin_memcpy(&a, words, sizeof a);
  return a;
}

static __always_inline struct gw_address ipv4(const void *address) {
  return of_words(0, 0xffff0000 | (__u64) * (const __u32 *)address << 32);
}

static __always_inline struct gw_address ipv6(const void *address) {
  const __u64 *words = address;
  return of_words(words[0], words[1]);
}

static __always_inline int same(const struct gw_address *a, const struct gw_address *b) {
  __u64 x[2], y[2];
  __builtin_memcpy(x, a, sizeof x);
  __builtin_memcpy(y, b, sizeof y);
  return x[0] == y[0] && x[1] == y[1];
}

static __always_inline void set_port(struct gw_vip_key *vip, __be16 port, __u8 protocol) {
  const __u64 rest = port | (__u64)protocol << 16;  // as of_words
  __builtin_memcpy(&vip->port, &rest, sizeof rest);
}

// Ports stand at the same place in TCP, UDP and SCTP. False if the packet ends before them.
static __always_inline int read_ports(__be16 *ports, void *end, struct packet *p) {
  if ((void *)(ports + 2) > end) return 0;
  set_port(&p->destination, ports[1], p->destination.protocol);
  p->snat_port = bpf_ntohs(ports[1]);
  p->has_port = p->has_snat_port = 1;
  p->client_port = ports[0];
  p->vip_port = ports[1];
  p->flow = p->destination.protocol;
  return 1;
}

// The ends of a quoted packet, which went the other way than what is quoted it to.
struct quoted {
  struct gw_address source;
  struct gw_address destination;
  __u8 protocol;
};

// An ICMP error belongs to the flow that it quotes: a packet from where the error goes.
static __always_inline void read_quoted_ports(const struct quoted *q, void *icmp, __be16 *ports, void *end,
                                              struct packet *p) {
  if ((void *)(ports + 2) > end || !has_ports(q->protocol) || !same(&q->source, &p->destination.address)) return;
  p->icmp_read = (void *)(ports + 2) - icmp;
  p->snat_port = bpf_ntohs(ports[0]);
  p->has_snat_port = 1;
  p->client = q->destination;
  p->client_port = ports[1];
  p->vip_port = ports[0];
  p->flow = q->protocol;
}

static __always_inline void read_quoted_ipv4(struct icmp *icmp, void *end, struct packet *p) {
  struct iphdr *ip = (void *)(icmp + 1);
  if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5) return;
  if (ip->frag_off & bpf_htons(IPV4_OFFSET)) return;
  const struct quoted q = {ipv4(&ip->saddr), ipv4(&ip->daddr), ip->protocol};
  read_quoted_ports(&q, icmp, (void *)ip + ip->ihl * 4, end, p);
}

// These return false for what the host shall judge: truncated or malformed.
static __always_inline int parse_icmp(struct icmp *icmp, void *end, struct packet *p) {
  if ((void *)(icmp + 1) > end) return 0;
  p->icmp = 1;
  p->icmp_read = sizeof *icmp;
  p->echo = icmp->type == ECHO_REQUEST && icmp->code == 0;
  if (icmp->type == DESTINATION_UNREACHABLE || icmp->type == TIME_EXCEEDED || icmp->type == PARAMETER_PROBLEM)
    read_quoted_ipv4(icmp, end, p);
  return 1;
}

static __always_inline int parse_ipv4(struct iphdr *ip, void *end, struct packet *p) {
  if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5) return 0;
  void *l4 = (void *)ip + ip->ihl * 4;
  p->l4 = p->l3 + ip->ihl * 4;
  p->source = p->client = ipv4(&ip->saddr);
  p->destination.address = ipv4(&ip->daddr);
  p->destination.protocol = ip->protocol;
  if (ip->frag_off & bpf_htons(IPV4_OFFSET | IPV4_MORE_FRAGMENTS)) {
    p->datagram.source = p->client;
    p->datagram.destination = p->destination.address;
    p->datagram.id = ip->id;
    p->datagram.protocol = ip->protocol;
    p->fragment = ip->frag_off & bpf_htons(IPV4_OFFSET) ? LATER_FRAGMENT : FIRST_FRAGMENT;
    if (p->fragment == FIRST_FRAGMENT && has_ports(ip->protocol)) read_ports(l4, end, p);
    return 1;
  }
  if (has_ports(ip->protocol)) return read_ports(l4, end, p);
  if (ip->protocol == IPPROTO_ICMP) return parse_icmp(l4, end, p);
  return 1;
}

// Passes over hop-by-hop options, routing and destination options. Nothing if the packet ends before.
static __always_inline void *skip_options(void *at, void *end, __u8 *next, int most) {
  for (int i = 0; i < most; ++i) {
    if (*next != IPV6_HOP_BY_HOP && *next != IPV6_ROUTING && *next != IPV6_DESTINATION) break;
    struct ipv6_extension *e = at;
    if ((void *)(e + 1) > end) return 0;
    *next = e->next;
    at += (e->length + 1) * 8;
  }
  return at;
}

// We send no extension headers of our own, but pass a fragment header on.
static __always_inline void read_quoted_ipv6(struct icmp *icmp, void *end, struct packet *p) {
  struct ipv6hdr *ip = (void *)(icmp + 1);
  if ((void *)(ip + 1) > end || ip->version != 6) return;
  struct quoted q = {ipv6(&ip->saddr), ipv6(&ip->daddr), ip->nexthdr};
  void *ports = ip + 1;
  if (q.protocol == IPV6_FRAGMENT) {
    struct ipv6_fragment *f = ports;
    if ((void *)(f + 1) > end || f->offset & bpf_htons(IPV6_OFFSET)) return;
    q.protocol = f->next;
    ports = f + 1;
  }
  read_quoted_ports(&q, icmp, ports, end, p);
}

// Of neighbour discovery only questions may be ours.
static __always_inline int parse_icmpv6(struct icmp *icmp, void *end, struct packet *p) {
  if ((void *)(icmp + 1) > end) return 0;
  if (icmp->type == ND_SOLICITATION) {
    void *target = icmp + 1;
    if (target + sizeof(struct gw_address) > end) return 0;
    p->destination.address = ipv6(target);
    p->asks = 1;
    return 1;
  }
  if (icmp->type >= ND_FIRST && icmp->type <= ND_LAST) return 0;
  p->icmp = 1;
  p->icmp_read = sizeof *icmp;
  p->echo = icmp->type == ECHO_REQUEST6 && icmp->code == 0;
  if (icmp->type >= FIRST_ERROR6 && icmp->type <= LAST_ERROR6) read_quoted_ipv6(icmp, end, p);
  return 1;
}

// Extension headers in the order of RFC 8200, 4.1: a fragment header stands behind those that routers read.
static __always_inline int parse_ipv6(void *begin, struct ipv6hdr *ip, void *end, struct packet *p) {
  if ((void *)(ip + 1) > end || ip->version != 6) return 0;
  __u8 next = ip->nexthdr;
  p->ipv6 = 1;
  p->source = p->client = ipv6(&ip->saddr);
  p->destination.address = ipv6(&ip->daddr);
  void *at = skip_options(ip + 1, end, &next, MAX_OPTIONS);
  if (!at) return 0;
  if (next == IPV6_FRAGMENT) {
    struct ipv6_fragment *f = at;
    if ((void *)(f + 1) > end) return 0;
    next = f->next;
    // Neither an offset nor more to come: a datagram in one piece (RFC 6946).
    if (f->offset & bpf_htons(IPV6_OFFSET | IPV6_MORE_FRAGMENTS)) {
      p->datagram.source = p->client;
      p->datagram.destination = p->destination.address;
      p->datagram.id = f->id;
      p->fragment = f->offset & bpf_htons(IPV6_OFFSET) ? LATER_FRAGMENT : FIRST_FRAGMENT;
      if (p->fragment == LATER_FRAGMENT) return 1;
    }
    at = skip_options(f + 1, end, &next, MAX_OPTIONS_OF_FRAGMENT);
    if (!at) return p->fragment;
  }
  p->destination.protocol = next;
  p->l4 = at - begin;
  if (has_ports(next)) return read_ports(at, end, p) || p->fragment;
  if (next == IPPROTO_ICMPV6 && !p->fragment) return parse_icmpv6(at, end, p);
  return 1;
}

static __always_inline int parse_arp(struct arp *arp, void *end, struct packet *p) {
  if ((void *)(arp + 1) > end) return 0;
  if (arp->hardware != bpf_htons(1) || arp->protocol != bpf_htons(ETH_P_IP)) return 0;
  if (arp->hardware_length != 6 || arp->protocol_length != 4 || arp->operation != bpf_htons(1)) return 0;
  p->destination.address = ipv4(arp->target);
  p->asks = 1;
  return 1;
}

static __always_inline int parse(void *begin, void *end, struct packet *p) {
  struct ethhdr *ethernet = begin;
  void *l3 = ethernet + 1;
  if (l3 > end) return 0;
  __be16 type = ethernet->h_proto;
  for (int i = 0; i < MAX_TAGS; ++i) {
    if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD)) break;
    struct vlan_tag *tag = l3;
    l3 = tag + 1;
    if (l3 > end) return 0;
    type = tag->type;
  }
  p->l3 = l3 - begin;
  if (type == bpf_htons(ETH_P_IP)) return parse_ipv4(l3, end, p);
  if (type == bpf_htons(ETH_P_IPV6)) return parse_ipv6(begin, l3, end, p);
  if (type == bpf_htons(ETH_P_ARP)) return parse_arp(l3, end, p);
  return 0;
}
