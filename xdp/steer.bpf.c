// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Steers what is the engine's to its AF_XDP sockets and passes everything else to the host, so that SSH, BGP and the
// kubelet go on. Where no engine listens, or its worker doesn't come, it balances and answers itself.
#include "xdp/answer.bpf.h"
#include "xdp/filter.bpf.h"

// To an address that is both ours, for some ports, and the host's.
static __always_inline int has_port_of_ours(const struct gw_address_value *a, const struct packet *p) {
  if (p->fragment == LATER_FRAGMENT) return bpf_map_lookup_elem(&datagrams, &p->datagram) != 0;
  const int ours = p->has_snat_port && p->snat_port >= a->port_min && p->snat_port <= a->port_max;
  if (p->fragment == FIRST_FRAGMENT && !rehearses) {
    const struct first_fragment f = {};
    if (ours)
      bpf_map_update_elem(&datagrams, &p->datagram, &f, BPF_ANY);
    else
      bpf_map_delete_elem(&datagrams, &p->datagram);  // an id that was another datagram's
  }
  return ours;
}

static __always_inline const struct gw_service *any_port_vip(struct packet *p) {
  p->destination.port = 0;
  return service_of_vip(&p->destination);
}

// `service`: that of the VIP, where the packet has a port that tells it.
static __always_inline int is_for_engine(struct packet *p, const struct gw_service **service) {
  if (p->has_port) {
    *service = service_of_vip(&p->destination);
    if (*service) return 1;
  }
  const struct gw_address_value *a = bpf_map_lookup_elem(&addresses, &p->destination.address);
  if (!a) return 0;
  if (p->asks) return (a->flags & GW_ADDRESS_ANNOUNCED) != 0;
  if (a->flags & GW_ADDRESS_DEDICATED) return 1;
  if ((a->flags & GW_ADDRESS_VIP) && (p->icmp || p->fragment != WHOLE)) return 1;
  if ((a->flags & GW_ADDRESS_SNAT) && has_port_of_ours(a, p)) return 1;
  if (!(a->flags & GW_ADDRESS_ANY_PORT) || !p->has_port) return 0;
  *service = any_port_vip(p);
  return *service != 0;
}

// Whether the worker that takes what comes to the queue's socket is there. One that hasn't begun will be: until then
// the tables are being written.
static __always_inline int is_alive(__u32 queue) {
  const struct gw_settings *s = the_settings();
  const struct gw_heartbeat *last = bpf_map_lookup_elem(&heartbeats, &queue);
  if (!s || !s->heartbeat || !last) return 1;
  const __u64 time = *(volatile const __u64 *)&last->time;  // before the clock
  return !time || (__s64)(bpf_ktime_get_coarse_ns() - time) <= (__s64)s->heartbeat;
}

SEC("xdp")
int gw_steer(struct xdp_md *ctx) {
  struct packet p = {};
  if (!parse((void *)(long)ctx->data, (void *)(long)ctx->data_end, &p)) return XDP_PASS;
  const struct gw_service *service = 0;
  if (!is_for_engine(&p, &service)) return XDP_PASS;
  if (!p.asks && is_denied(&p)) return count_drop(GW_DROP_SOURCE_FILTERED);
  const __u32 unpaid = too_often(&p, service);
  if (unpaid) return count_drop(unpaid);
  // A socket leaves the map when its engine ends, however that came.
  const __u32 queue = ctx->rx_queue_index;
  if (bpf_map_lookup_elem(&sockets, &queue) && is_alive(queue)) {
    const __u32 unsound = p.asks ? GW_DROP_NONE : gw_unsound(ctx, &p);
    return unsound ? count_drop(unsound) : bpf_redirect_map(&sockets, queue, XDP_DROP);
  }
  if (p.asks || p.echo) return answer(ctx, &p);
  // Never the host instead: it would answer a VIP's clients with RST.
  return balance(ctx, &p, service);
}

char LICENSE[] SEC("license") = "GPL";
