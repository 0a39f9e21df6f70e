#!/usr/bin/env bash
# The engine is killed, with no daemon to help: its supervisor starts it again, it forwards from its own snapshot, and a
# DSR connection goes on, as the tables are the same and XDP dropped (didn't pass up) what came in between. The host's own
# traffic is never cut.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
lab_start_gateway || fail "the gateway doesn't start"
vip=${LAB_VIP4[dsr-ipip]}
checksum=$(lab_big_file | sha256sum)

get "$vip" /slow -m 60 >"$LAB_RUN/download" &
download=$!
sleep 1
kill -9 "$(cat "$LAB_RUN/pids/daemon")"
rm "$LAB_RUN/pids/daemon"

ip netns exec "$LAB_PREFIX-client" ping -D -i 0.02 -W 1 $LAB_GATEWAY4 >"$LAB_RUN/log/ping.log" 2>&1 &
ping=$!

for round in 1 2; do
  first=$(cat "$LAB_RUN/pids/engine")
  kill -9 "$first"
  replaced() { [ -s "$LAB_RUN/pids/engine" ] && [ "$(cat "$LAB_RUN/pids/engine")" != "$first" ]; }
  lab_wait_until 5 replaced || fail "the supervisor starts no new engine"
  lab_wait_until 10 lab_gateway_answers || fail "the new engine doesn't forward from its snapshot"
  say "round $round: all VIPs answer again"
done

say "no engine at all"
kill -9 "$(cat "$LAB_RUN/pids/supervisor")" "$(cat "$LAB_RUN/pids/engine")"
for mode in dsr-l2 dsr-ipip nat; do
  for address in "${LAB_VIP4[$mode]}" "${LAB_VIP6[$mode]}"; do
    code=0
    get "$address" / --connect-timeout 0.5 -o /dev/null 2>/dev/null || code=$?
    equal "how a connection to $address ends (28 is a time-out, 7 an RST)" 28 "$code"
    equal "UDP to $address" '1 no answer: timed out' "$(lab_ask "$address" 1 100 || true)"
  done
done
equal "ssh to the gateway" hello "$(lab_ssh $LAB_GATEWAY4 echo hello)"
lab_start_engine
lab_wait_until 10 lab_gateway_answers || fail "an engine started by hand doesn't forward from the snapshot"

kill -INT $ping
wait $ping || true
lost=$(grep -oE '[0-9.]+% packet loss' "$LAB_RUN/log/ping.log")
equal "pings to the gateway in all of this" '0% packet loss' "$lost"
equal "the servers afterwards" 'web1 web2 web3' "$(servers_behind "$vip")"
wait $download || fail "a DSR connection broke when the engine was killed"
equal "what it carried" "$checksum" "$(sha256sum <"$LAB_RUN/download")"

lab_start_daemon
lab_wait_until 10 lab_cli status || fail "a new daemon doesn't find the engine"
lab_wait_until 10 lab_engine_tells || fail "the daemon has no word of the engine"
[ "$(dropped | jq .no_socket)" -ge 12 ] || fail "XDP didn't count what came while there was no engine: $(dropped)"
set_endpoint web3 False False False
gone() { [ "$(servers_behind "$vip")" = 'web1 web2' ]; }
lab_wait_until 10 gone || fail "a new daemon can't change the restarted engine"
