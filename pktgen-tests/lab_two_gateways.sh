# The lab with two gateways behind a router that spreads flows over both (ECMP), and a narrow link in the client's way.
# Sourced, never run, like lab.sh, whose functions it uses; servers, VIPs and manifests are the same.
#
#   gw-client     gw-near            gw-far             gw-border
#   ┌────────┐    ┌───────────┐      ┌───────────┐      ┌──────────────────────┐
#   │ gw0    ├────┤ c0   far0 ├──────┤ near0  b0 ├──────┤ far0                 │
#   │ .1.2   │1500│ .1.1 .4.1 │narrow│ .4.2 .5.1 │ 1500 │ .5.2                 │
#   └────────┘    └───────────┘      └───────────┘      │ gw1        gw2       │
#                                                       │ .6.2       .7.2  back├──┐
#       all 10.77.0.0/16 and fd77:N::/64,               └──┬──────────┬────────┘  │ return leg, .9.0/24: what servers
#       by the third number: .4.2 is also fd77:4::2    1500│          │1500       │ answer past the gateways
#                                                       ┌──┴───┐   ┌──┴───┐       │
#                                                       │ cl0  │   │ cl0  │       │
#                                                gw-gw1 │ .6.1 │   │ .7.1 │ gw-gw2│
#                                                       │ srv0 │   │ srv0 │       │
#                                                       │ .2.1 │   │ .2.2 │       │
#                                                       └──┬───┘   └──┬───┘       │
#                                                      1600│          │1600       │
#                                                  ┌───────┴──────────┴──────┐    │
#                                        gw-router │ srv (bridge)  .2.254    │    │
#                                                  │ w3            .3.254    │    │
#                                                  └──┬─────────┬─────────┬──┘    │
#                                                  web1 .2.11  web2 .2.12 web3 .3.13
#                                                     └─────────┴─────────┴───────┘
#
#   Both gateways have the same manifests, but each its own SNAT addresses: 198.51.100.1 and .2, 2001:db8:100::1 and ::2.

. "$(dirname "${BASH_SOURCE[0]}")/lab.sh"
LAB_FILE=${BASH_SOURCE[0]}

LAB_SPACES=(client near far border gw1 gw2 router web1 web2 web3)
LAB_ROUTERS=(near far border gw1 gw2 router)
LAB_GATEWAYS=(gw1 gw2)
LAB_CLIENT4=10.77.1.2
LAB_CLIENT6=fd77:1::2
LAB_VIPS4=192.0.2.0/24
LAB_VIPS6=2001:db8::/64

lab_make_links() {
  local space
  lab_pair client gw0 near c0 1500
  lab_pair near far0 far near0 1500  # until lab_narrow
  lab_pair far b0 border far0 1500
  lab_bridge router srv 1600
  lab_bridge border back 1500
  for space in gw1 gw2; do
    lab_pair border $space $space cl0 1500
    lab_pair $space srv0 router $space 1600
    lab_keep_neighbors $space cl0
  done
  for space in web1 web2; do lab_pair $space eth0 router $space 1600; done
  lab_pair web3 eth0 router w3 1600
  for space in gw1 gw2 web1 web2; do lab_in router ip link set $space master srv; done
  for space in "${LAB_SERVERS[@]}"; do
    lab_pair "$space" ret0 border "$space" 1500
    lab_in border ip link set "$space" master back
  done
}

lab_make_addresses() {
  lab_address client gw0 $LAB_CLIENT4/24 $LAB_CLIENT6/64
  lab_address near c0 10.77.1.1/24 fd77:1::1/64
  lab_address near far0 10.77.4.1/24 fd77:4::1/64
  lab_address far near0 10.77.4.2/24 fd77:4::2/64
  lab_address far b0 10.77.5.1/24 fd77:5::1/64
  lab_address border far0 10.77.5.2/24 fd77:5::2/64
  lab_address border gw1 10.77.6.2/24 fd77:6::2/64
  lab_address border gw2 10.77.7.2/24 fd77:7::2/64
  lab_address border back 10.77.9.1/24 fd77:9::1/64
  lab_address gw1 cl0 10.77.6.1/24 fd77:6::1/64
  lab_address gw2 cl0 10.77.7.1/24 fd77:7::1/64
  lab_address gw1 srv0 10.77.2.1/24 fd77:2::1/64
  lab_address gw2 srv0 10.77.2.2/24 fd77:2::2/64
  lab_address router srv 10.77.2.254/24 fd77:2::254/64
  lab_address router w3 10.77.3.254/24 fd77:3::254/64
  lab_make_server_addresses
}

lab_make_routes() {
  local clients=(10.77.1.0/24 fd77:1::/64) middle=(10.77.4.0/24 fd77:4::/64) outer=(10.77.5.0/24 fd77:5::/64)
  lab_route client 10.77.1.1 fd77:1::1 default ::/0
  lab_route near 10.77.4.2 fd77:4::2 default ::/0
  lab_route far 10.77.5.2 fd77:5::2 default ::/0
  lab_route far 10.77.4.1 fd77:4::1 "${clients[@]}"
  lab_route border 10.77.5.1 fd77:5::1 "${clients[@]}" "${middle[@]}"
  lab_route gw1 10.77.6.2 fd77:6::2 "${clients[@]}" "${middle[@]}" "${outer[@]}"
  lab_route gw2 10.77.7.2 fd77:7::2 "${clients[@]}" "${middle[@]}" "${outer[@]}"
  local space
  for space in gw1 gw2 web1 web2; do lab_route $space 10.77.2.254 fd77:2::254 10.77.3.0/24 fd77:3::/64; done
  for space in router web1 web2; do
    lab_route $space 10.77.2.1 fd77:2::1 198.51.100.1 2001:db8:100::1
    lab_route $space 10.77.2.2 fd77:2::2 198.51.100.2 2001:db8:100::2
  done
  lab_route web3 10.77.3.254 fd77:3::254 198.51.100.0/24 2001:db8:100::/64 10.77.2.0/24 fd77:2::/64
  for space in "${LAB_SERVERS[@]}"; do
    lab_route "$space" 10.77.9.1 fd77:9::1 "${clients[@]}" "${middle[@]}" "${outer[@]}"
  done
  # A flow is a flow by its ports too, as at most routers.
  lab_in border sysctl -q -w net.ipv4.fib_multipath_hash_policy=1 net.ipv6.fib_multipath_hash_policy=1
  lab_in border ip -4 rule add priority 77 iif far0 ipproto icmp lookup 77
  lab_in border ip -6 rule add priority 77 iif far0 ipproto ipv6-icmp lookup 77
  lab_by_both
}

lab_make_homes() {
  local space
  for space in "${LAB_GATEWAYS[@]}"; do
    lab_at "$space" lab_make_home
    sed -i "s/198.51.100.1/198.51.100.${space#gw}/; s/2001:db8:100::1/2001:db8:100::${space#gw}/" \
      "$LAB_RUN/$space/manifests/gateway.yaml"
  done
}

# Each is seen to answer by itself, before both share the traffic.
lab_start_gateways() {
  local space
  for space in "${LAB_GATEWAYS[@]}"; do
    lab_by_one "$space"
    lab_at "$space" lab_start_gateway "$@" || return 1
  done
  lab_by_both
}

lab_by_both() {
  lab_in border ip route replace $LAB_VIPS4 nexthop via 10.77.6.1 nexthop via 10.77.7.1
  lab_in border ip -6 route replace $LAB_VIPS6 nexthop via fd77:6::1 nexthop via fd77:7::1
}

lab_by_one() {
  local net
  case $1 in gw1) net=6 ;; gw2) net=7 ;; esac
  lab_in border ip route replace $LAB_VIPS4 via 10.77.$net.1
  lab_in border ip -6 route replace $LAB_VIPS6 via fd77:$net::1
}

# `lab_errors_by gw1|gw2|nobody`: where ICMP to VIPs goes that comes from outside, whatever it quotes.
lab_errors_by() {
  local way4=(blackhole $LAB_VIPS4) way6=(blackhole $LAB_VIPS6)
  case $1 in
  gw1) way4=($LAB_VIPS4 via 10.77.6.1) way6=($LAB_VIPS6 via fd77:6::1) ;;
  gw2) way4=($LAB_VIPS4 via 10.77.7.1) way6=($LAB_VIPS6 via fd77:7::1) ;;
  esac
  lab_in border ip -4 route replace "${way4[@]}" table 77
  lab_in border ip -6 route replace "${way6[@]}" table 77
}

# `lab_narrow MTU`: of the link between near and far, both ends.
lab_narrow() {
  lab_in near ip link set far0 mtu "$1"
  lab_in far ip link set near0 mtu "$1"
}
