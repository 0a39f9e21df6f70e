#!/usr/bin/env bash
# A client behind a narrow link downloads a file, while the router before that link sends "too big" to the VIP, for that is
# the address that the server answers from. Two gateways behind an ECMP router; the errors are made to arrive:
#   in DSR  at the gateway that has never seen the flow, and must find the same server by what the error quotes
#   in nat  at the gateway that has the flow's entry
# The network is drawn in lab_two_gateways.sh.
. "$(dirname "$0")/prologue.sh"
. "$LAB_ROOT/pktgen-tests/lab_two_gateways.sh"

needs_gateway
begin
for server in "${LAB_SERVERS[@]}"; do  # nothing that would hide a lost error
  lab_in "$server" sysctl -q -w net.ipv4.tcp_mtu_probing=0 net.ipv4.ip_no_pmtu_disc=0
done
lab_in far sysctl -q -w net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
lab_start_gateways --connections 65536 || fail "the gateways don't start"
checksum=$(lab_big_file | sha256sum)
ip netns exec "$LAB_PREFIX-border" /usr/bin/python3 -B "$LAB_ROOT/pktgen-tests/netns/too_big.py" gw1 gw2 >"$LAB_RUN/log/too_big.log" 2>&1 &
lab_wait_until 5 grep -q ready "$LAB_RUN/log/too_big.log" || fail "too_big.py doesn't start"

port=20000  # of the client, another for each download, so that errors can be told apart
nothing_is_remembered() {
  local server
  for server in "${LAB_SERVERS[@]}"; do
    lab_in "$server" ip -4 route flush cache
    lab_in "$server" ip -6 route flush cache
    [ -z "$(lab_in "$server" ip -4 route show cache; lab_in "$server" ip -6 route show cache)" ] || return 1
  done
}
# An error that is still on its way when they are told to forget would be remembered.
forget_path_mtu() {
  sleep 0.1
  lab_wait_until 5 nothing_is_remembered || fail "the servers don't forget a path's MTU"
}
# `errors_at gw1 VIP`: whether any was sent there about the flow of `port`.
errors_at() { grep -q "^$1 $2 $port 1300$" "$LAB_RUN/log/too_big.log"; }
sent_to() { packets border "$1" tx; }
download() { get "$1" /big --local-port $port "${@:2}"; }

say "the narrow link is wide: the router spreads downloads over both gateways"
lab_errors_by nobody
for vip in "${LAB_VIP4[@]}" "${LAB_VIP6[@]}"; do
  before=($(sent_to gw1) $(sent_to gw2))
  # The router's hash has another seed each time: a dozen may by chance take one way.
  for n in {1..60}; do
    equal "the file from $vip" "$checksum" "$(download "$vip" | sha256sum)"
    port=$((port + 1))
    passed=($(($(sent_to gw1) - before[0])) $(($(sent_to gw2) - before[1])))
    [ "$n" -lt 12 ] || [ ${passed[0]} -lt 5 ] || [ ${passed[1]} -lt 5 ] || break
  done
  { [ ${passed[0]} -ge 5 ] && [ ${passed[1]} -ge 5 ]; } || fail "all downloads from $vip pass one gateway: ${passed[*]} packets"
done

say "the narrow link is narrow, and errors are lost: no download passes"
lab_narrow 1300
for vip in "${LAB_VIP4[dsr-l2]}" "${LAB_VIP6[dsr-l2]}"; do
  port=$((port + 1))
  ! download "$vip" -m 2 >"$LAB_RUN/part" 2>/dev/null || fail "the file from $vip arrives without an error: nothing would be tested"
  [ "$(stat -c %s "$LAB_RUN/part")" -lt 20000 ] || fail "most of the file from $vip arrives without an error"
done

for mode in "${LAB_MODES[@]}" "${LAB_MIXED[@]}"; do
  for vip in "${LAB_VIP4[$mode]}" "${LAB_VIP6[$mode]}"; do
    for gateway in gw1 gw2; do
      case $mode:$gateway in
      nat:*) errors=$gateway ;;
      *:gw1) errors=gw2 ;;
      *:gw2) errors=gw1 ;;
      esac
      say "$mode $vip by $gateway, errors by $errors"
      lab_by_one $gateway
      lab_errors_by $errors
      forget_path_mtu
      port=$((port + 1))
      equal "the file from $vip by $gateway, errors by $errors" "$checksum" "$(download "$vip" | sha256sum)"
      lab_wait_until 2 errors_at $errors "$vip" || fail "no error about the download from $vip went to $errors"
    done
  done
done
