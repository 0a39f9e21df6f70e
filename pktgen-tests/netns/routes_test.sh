#!/usr/bin/env bash
# The engine follows the kernel under traffic: a route moves to another next hop, a neighbour gets another MAC address, a
# route is withdrawn and comes back, a port's link goes down and up.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
lab_start_gateway || fail "the gateway doesn't start"
ipip=${LAB_VIP4[dsr-ipip]} ipip6=${LAB_VIP6[dsr-ipip]}

# A second way to web3: the router's other leg on the servers' link, with a MAC address of its own.
lab_pair router alt0 router alt1 1600
lab_in router ip link set alt1 master srv
lab_in router sysctl -q -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.alt0.arp_notify=1 net.ipv6.conf.alt0.ndisc_notify=1
lab_address router alt0 10.77.2.253/32 fd77:2::253/128

# `moves WHAT`: while the load runs, packets come in by the other leg.
moves() {
  local before
  before=$(packets router alt0 rx)
  much() { [ $(($(packets router alt0 rx) - before)) -gt 1000 ]; }
  lab_wait_until 5 much || fail "$1: packets don't come by the other next hop"
}
stays_away() {
  local before
  sleep 0.3
  before=$(packets router alt0 rx)
  sleep 0.5
  [ $(($(packets router alt0 rx) - before)) -lt 20 ] || fail "$1: packets still come by the other next hop"
}
reason() { dropped | jq ".$1 // 0"; }
becomes() {
  answer_now() { [ "$(servers_behind "$1" 40)" = "$2" ]; }
  lab_wait_until 10 answer_now "$1" "$2" || fail "$1 should be answered by '$2': $(dropped)"
}
port_is() { [ "$(lab_cli status -o json | jq ".engine.status.ports[] | select(.name == \"$1\") | .up")" = "$2" ]; }

for vip in "$ipip" "$ipip6"; do
  case $vip in
  *:*) route=(ip -6 route replace fd77:3::/64 via) first=fd77:2::254 other=fd77:2::253 ;;
  *) route=(ip route replace 10.77.3.0/24 via) first=10.77.2.254 other=10.77.2.253 ;;
  esac
  say "$vip: the next hop moves, its MAC address changes, the next hop moves back"
  load 8s "$vip"
  sleep 0.5
  lab_in gateway "${route[@]}" $other
  moves "the route of $vip"
  sleep 1.2  # the kernel believes no second MAC address within a second
  lab_in router ip link set alt0 address 02:00:00:00:00:"$(printf '%02x' $((RANDOM % 256)))"
  moves "the MAC address of $other"
  lab_in gateway "${route[@]}" $first
  stays_away "the route of $vip, back"
  load_ended
done
was=$(dropped)
# At most what a packet finds while a neighbour is asked for.
equal "drops besides those for a new neighbour" '[]' "$(jq -c '[keys[] | select(. != "no_neighbor")]' <<<"$was")"

say "a route is withdrawn, and comes back"
lab_in gateway ip route del 10.77.3.0/24
get_some() { lab_in client curl -s -o /dev/null --connect-timeout 0.1 -H 'Connection: close' "http://$ipip/?[1-30]" || true; }
get_some
[ "$(reason no_route)" -ge 3 ] || fail "no packet was dropped for want of a route: $(dropped)"
equal "the other family meanwhile" 'web1 web2 web3' "$(servers_behind "$ipip6")"
lab_in gateway ip route add 10.77.3.0/24 via 10.77.2.254
becomes "$ipip" 'web1 web2 web3'

say "a route that forbids"
lab_in gateway ip route add unreachable 10.77.3.13
before=$(reason no_route)
get_some
[ "$(reason no_route)" -gt "$before" ] || fail "no packet was dropped by the unreachable route: $(dropped)"
lab_in gateway ip route del unreachable 10.77.3.13
becomes "$ipip" 'web1 web2 web3'

say "a route by a port that isn't the engine's"
lab_in gateway ip link add own0 type veth peer name own1
lab_in gateway ip address add 10.99.0.1/24 dev own0
for end in own0 own1; do lab_in gateway ip link set $end up; done
lab_in gateway ip route add 10.77.3.13 via 10.99.0.2
get_some
[ "$(reason foreign_port)" -ge 3 ] || fail "no packet was dropped for the foreign port: $(dropped)"
lab_in gateway ip link del own0
becomes "$ipip" 'web1 web2 web3'

say "the servers' link goes down and up"
lab_in gateway ip link set srv0 down
lab_wait_until 5 port_is srv0 false || fail "the port isn't shown as down"
! get "$ipip" / --connect-timeout 0.3 2>/dev/null || fail "a server answers over a link that is down"
lab_in gateway ip link set srv0 up
lab_in gateway ip -6 address replace fd77:2::1/64 dev srv0 nodad  # went with the link
lab_route gateway 10.77.2.254 fd77:2::254 10.77.3.0/24 fd77:3::/64
lab_wait_until 5 port_is srv0 true || fail "the port isn't shown as up"
for vip in "$ipip" "$ipip6" "${LAB_VIP4[nat]}" "${LAB_VIP6[nat]}"; do becomes "$vip" 'web1 web2 web3'; done

say "the client's link goes down and up"
lab_in gateway ip link set cl0 down
lab_wait_until 5 port_is cl0 false || fail "the port isn't shown as down"
lab_in gateway ip link set cl0 up
lab_in gateway ip -6 address replace fd77:1::1/64 dev cl0 nodad
lab_wait_until 5 port_is cl0 true || fail "the port isn't shown as up"
for vip in "$ipip" "$ipip6" "${LAB_VIP4[nat]}" "${LAB_VIP6[nat]}"; do becomes "$vip" 'web1 web2 web3'; done
say "a client whose neighbour entry the kernel has lost"
for family in 4 6; do
  if [ $family = 4 ]; then vip=${LAB_VIP4[nat]} client=10.77.1.2; else vip=${LAB_VIP6[nat]} client=fd77:1::2; fi
  lab_in gateway ip neigh del $client dev cl0
  equal "who answers" web "$(get "$vip" | tr -d '123')"
done
say "more routes than there is room for"
warned() { lab_cli status -o json | jq -e '.engine.status.warnings[]? | select(.subject == "routes")'; }
not_warned() { ! warned; }
blocks() { lab_cli status -o json | jq -r '.engine.limits[] | select(.name == "fib_blocks_ipv4") | .'"$1"; }
not_warned || fail "routes are said not to fit: $(warned)"
few=$(blocks used)
for ((i = 0; i < 16384; i++)); do
  say "route add 20.$((i / 256)).$((i % 256)).0/25 via 10.77.2.254"
done | lab_in gateway ip -batch -
lab_wait_until 10 warned || fail "routes that don't fit aren't said: $(blocks used) of $(blocks limit)"
equal "the blocks in use" "$(blocks limit)" "$(blocks used)"
lab_in gateway ip route flush root 20.0.0.0/8
lab_wait_until 10 not_warned || fail "the routes fit again, and are still said not to"
equal "the blocks in use" "$few" "$(blocks used)"

say "dropped in all of this: $(dropped)"
