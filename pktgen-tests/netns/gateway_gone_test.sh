#!/usr/bin/env bash
# One of two gateways behind ECMP is taken away for good. Connections by dsr go on by the other, as long as backends are what
# they were when they began: it picks the same. After a change those break that the lost gateway alone knew off their slot,
# at most the share of slots that moved. Drawn in lab_two_gateways.sh.
. "$(dirname "$0")/prologue.sh"
. "$LAB_ROOT/pktgen-tests/lab_two_gateways.sh"

needs_gateway
begin
lab_start_gateways --connections 65536 || fail "the gateways don't start"
count=300

# What holds them is asked by `again`.
hold() {
  coproc holder { exec ip netns exec "$LAB_PREFIX-client" /usr/bin/python3 -B "$LAB_ROOT/pktgen-tests/netns/held.py" "$1" $count; }
  read -r servers <&"${holder[0]}" || fail "the connections to $1 aren't opened"
}
again() {
  echo >&"${holder[1]}"
  read -r broken <&"${holder[0]}" || fail "who holds the connections has ended"
}
let_go() {
  exec {holder[1]}>&-
  wait "$holder_PID"
}

# One server serves on, and begins nothing new, or again.
set_drained() {
  local space
  for space in "${LAB_GATEWAYS[@]}"; do
    (cd "$LAB_ROOT/pktgen-tests/demo" && /usr/bin/python3 -B -c "
import endpoints
endpoints.Endpoints('$LAB_RUN/$space/manifests').set('$drained', ready=$1, serving=True, terminating=not $1)")
  done
}
# Both gateways spread new connections over those servers.
is_spread_over() {
  local space
  for space in "${LAB_GATEWAYS[@]}"; do
    lab_by_one "$space"
    [ "$(servers_behind "$vip" 40)" = "$1" ] || return 1
  done
  lab_by_both
}

taken_away() {
  lab_in gw1 ip link set cl0 down
  lab_by_one gw2
}
back() {
  lab_in gw1 ip link set cl0 up
  lab_in gw1 ip -6 address replace fd77:6::1/64 dev cl0 nodad
  lab_route gw1 10.77.6.2 fd77:6::2 10.77.1.0/24 fd77:1::/64 10.77.4.0/24 fd77:4::/64 10.77.5.0/24 fd77:5::/64
  lab_wait_until 20 is_spread_over "$all" || fail "the first gateway doesn't come back"
}

for mode in dsr-l2 dsr-ipip dsr-gue; do
  case $mode in
  dsr-l2) all='web1 web2' drained=web2 rest=web1 moved=50 ;;  # web3 isn't on the link
  *) all='web1 web2 web3' drained=web3 rest='web1 web2' moved=33 ;;
  esac
  for vip in "${LAB_VIP4[$mode]}" "${LAB_VIP6[$mode]}"; do
    lab_wait_until 20 is_spread_over "$all" || fail "$vip isn't spread over its servers"
    hold "$vip"
    again
    equal "connections to $vip that broke with both gateways" 0 "$broken"
    taken_away
    again
    equal "connections to $vip that broke with the first gateway gone" 0 "$broken"
    let_go
    say "$mode $vip: $servers: 0 of $count broken by a gateway that is gone, backends as they were"
    back

    hold "$vip"
    set_drained False
    lab_wait_until 20 is_spread_over "$rest" || fail "$drained isn't drained"
    again
    equal "connections to $vip that broke by a change of backends" 0 "$broken"
    taken_away
    again
    # The slots that were the drained server's, and Maglev moves few others.
    say "$mode $vip: $servers: $broken of $count broken, where $moved % of the slots have moved to other servers since"
    [ "$broken" -le $((count * (moved + 2) / 100)) ] || fail "more than the share of slots that moved"
    [ "$broken" -gt 0 ] || fail "none broke: the first gateway carried nothing, or $drained isn't drained"
    let_go
    set_drained True
    back
  done
done
