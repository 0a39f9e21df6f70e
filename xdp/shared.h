/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 * What the XDP programs and their loader both see: keys and values of the pinned maps, and their limits.
 */
#pragma once

#include <linux/types.h>

/* Addresses are 16 bytes, IPv4 as ::ffff:a.b.c.d; ports in network order. */
struct gw_address {
  __u8 bytes[16];
};

struct gw_vip_key {
  struct gw_address address;
  __u16 port; /* 0: every port of the protocol */
  __u8 protocol;
  __u8 zero;
};

/* How an address is steered beside its VIPs. */
enum gw_address_flag {
  GW_ADDRESS_VIP = 1,       /* ICMP and fragments go to the engine */
  GW_ADDRESS_SNAT = 2,      /* TCP, UDP and SCTP to [port_min, port_max], its fragments and ICMP errors about it too */
  GW_ADDRESS_DEDICATED = 4, /* everything IP but neighbour discovery goes to the engine */
  GW_ADDRESS_ANNOUNCED = 8, /* ARP requests and neighbour solicitations for it go to the engine */
  GW_ADDRESS_ANY_PORT = 16, /* one of its VIPs has port 0 */
};

struct gw_address_value {
  __u16 port_min; /* host order, inclusive */
  __u16 port_max;
  __u32 flags;
};

enum {
  GW_MAX_VIPS = 65536,      /* entries of `vips` */
  GW_MAX_ADDRESSES = 65536, /* entries of `addresses` */
  GW_MAX_DATAGRAMS = 4096,  /* entries of `datagrams` */
  GW_MAX_QUEUES = 256,      /* receive queues of one interface: entries of `sockets` */
};
