#!/usr/bin/env bash
# The lab's own ground: nginx answers a client whose packets come encapsulated (4in4, 6in6, 6in4), on the same link and
# behind the router, and the answers take the return leg. Needs no engine: a script plays the gateway.
. "$(dirname "$0")/prologue.sh"

begin
tunnel=

# `through OUTER VIP...`: sends what goes to the VIPs to one server, inside a header towards OUTER.
through() {
  local outer=$1 vip
  shift
  [ -z "$tunnel" ] || { kill "$tunnel"; wait "$tunnel" || true; }
  rm -f "$LAB_RUN/log/tunnel.log"
  ip netns exec "$LAB_PREFIX-gateway" /usr/bin/python3 "$LAB_ROOT/pktgen-tests/netns/encapsulate.py" tun0 "$outer" \
    >"$LAB_RUN/log/tunnel.log" 2>&1 &
  tunnel=$!
  lab_wait_until 5 grep -q ready "$LAB_RUN/log/tunnel.log" || fail "the encapsulator doesn't start"
  lab_in gateway ip link set tun0 up mtu 1500
  for vip in "$@"; do lab_in gateway ip route replace "$vip" dev tun0; done
}

vip4=${LAB_VIP4[dsr-ipip]} vip6=${LAB_VIP6[dsr-ipip]}
checksum=$(lab_big_file | sha256sum)
for server in "${LAB_SERVERS[@]}"; do
  for outer in "${LAB_ADDRESS4[$server]}" "${LAB_ADDRESS6[$server]}"; do
    through "$outer" "$vip4" "$vip6"
    for vip in "$vip4" "$vip6"; do
      say "$vip inside $outer"
      equal "who answers for $vip inside $outer" "$server" "$(get "$vip")"
      equal "the large file from $vip inside $outer" "$checksum" "$(get "$vip" /big | sha256sum)"
    done
    # Full-size packets of a client fit, with 20 or 40 bytes more, on the links of 1600.
    equal "an upload to $vip4 inside $outer" 1000000 "$(lab_big_file | get "$vip4" /upload --data-binary @-)"
  done
done

before=$(packets gateway srv0 rx)
get "$vip4" /big >/dev/null
passed=$(($(packets gateway srv0 rx) - before))
[ "$passed" -lt 20 ] || fail "answers pass the gateway: $passed packets came in from the servers' link"

for address in $LAB_GATEWAY4 $LAB_GATEWAY6; do
  lab_in client ping -q -c 2 -i 0.2 -W 1 "$address" >/dev/null || fail "no answer to ping from $address"
  equal "ssh to $address" hello "$(lab_ssh "$address" echo hello)"
done
say "all arrived"
