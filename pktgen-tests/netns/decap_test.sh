#!/usr/bin/env bash
# The lab's own ground: nginx and echo.py answer a client whose packets come encapsulated (IP in IP and GUE, each in all
# four mixes of families, fragments too), on the same link and behind the router, and the answers take the return leg.
# Needs no engine: a script plays the gateway.
. "$(dirname "$0")/prologue.sh"

begin
tunnel=

# `through KIND OUTER VIP...`: sends what goes to the VIPs to one server, inside a header towards OUTER.
through() {
  local kind=$1 outer=$2 vip
  shift 2
  [ -z "$tunnel" ] || { kill "$tunnel"; wait "$tunnel" || true; }
  rm -f "$LAB_RUN/log/tunnel.log"
  ip netns exec "$LAB_PREFIX-gateway" /usr/bin/python3 "$LAB_ROOT/pktgen-tests/netns/encapsulate.py" tun0 "$outer" "$kind" \
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
    for kind in ipip gue; do
      through $kind "$outer" "$vip4" "$vip6"
      for vip in "$vip4" "$vip6"; do
        say "$vip inside $outer, $kind"
        equal "who answers for $vip inside $outer" "$server" "$(get "$vip")"
        equal "the large file from $vip inside $outer" "$checksum" "$(get "$vip" /big | sha256sum)"
        # Full-size packets of a client fit, with 20 to 48 bytes more, on the links of 1600.
        equal "an upload to $vip inside $outer" 1000000 "$(lab_big_file | get "$vip" /upload --data-binary @-)"
        answers=$(lab_ask "$vip" 20 4001) || fail "UDP in fragments to $vip inside $outer: $answers"
      done
    done
  done
done

say "a wrong checksum in the outer header"
through gue-wrong "${LAB_ADDRESS6[web1]}" "$vip4" "$vip6"
for vip in "$vip4" "$vip6"; do
  ! get "$vip" / --connect-timeout 0.5 2>/dev/null || fail "$vip answers inside UDP with a wrong checksum"
done

through gue "${LAB_ADDRESS4[web1]}" "$vip4"
before=$(packets gateway srv0 rx)
get "$vip4" /big >/dev/null
passed=$(($(packets gateway srv0 rx) - before))
[ "$passed" -lt 20 ] || fail "answers pass the gateway: $passed packets came in from the servers' link"

for address in $LAB_GATEWAY4 $LAB_GATEWAY6; do
  lab_in client ping -q -c 2 -i 0.2 -W 1 "$address" >/dev/null || fail "no answer to ping from $address"
  equal "ssh to $address" hello "$(lab_ssh "$address" echo hello)"
done
say "all arrived"
