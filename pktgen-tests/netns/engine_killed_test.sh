#!/usr/bin/env bash
# The engine is killed, with no daemon to help: the kernel balances DSR from the same tables, its supervisor starts it
# again, and it forwards from its own snapshot; or it is stopped, and goes on. No DSR connection breaks, whoever has it. What
# only the engine can serve (nat) XDP drops, and doesn't pass up; the next engine goes on with those connections. The host's
# own traffic is never cut.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
lab_start_gateway || fail "the gateway doesn't start"
vip=${LAB_VIP4[dsr-ipip]}
checksum=$(lab_big_file | sha256sum)

addresses=("$vip" "${LAB_VIP4[nat]}" "${LAB_VIP6[nat]}")
downloads=()
for i in "${!addresses[@]}"; do
  get "${addresses[i]}" /slow -m 120 >"$LAB_RUN/download$i" &
  downloads+=($!)
done
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
for mode in "${LAB_DSR[@]}"; do
  servers='web1 web2 web3'
  [ "$mode" != dsr-l2 ] || servers='web1 web2'
  for address in "${LAB_VIP4[$mode]}" "${LAB_VIP6[$mode]}"; do
    equal "servers that the kernel sends to behind $address" "$servers" "$(servers_behind "$address")"
    lab_ask "$address" 100 100 >/dev/null || fail "UDP to $address isn't answered"
    lab_ask "$address" 20 2900 >/dev/null || fail "UDP in fragments to $address isn't answered"
    get "$address" /big | cmp -s - <(lab_big_file) || fail "a download from $address isn't what it should be"
  done
done
for address in "$vip" "${LAB_VIP6[dsr-gue]}" "${LAB_VIP4[nat]}"; do
  lab_in client ping -q -c 3 -i 0.2 -W 2 -s 1400 "$address" >/dev/null || fail "the kernel doesn't answer a ping of $address"
done
for address in "${LAB_VIP4[nat]}" "${LAB_VIP6[nat]}"; do
  code=0
  get "$address" / --connect-timeout 0.5 -o /dev/null 2>/dev/null || code=$?
  equal "how a connection to $address ends (28 is a time-out, 7 an RST)" 28 "$code"
  equal "UDP to $address" '1 no answer: timed out' "$(lab_ask "$address" 1 100 || true)"
done
equal "ssh to the gateway" hello "$(lab_ssh $LAB_GATEWAY4 echo hello)"
say "an engine that can't start takes nothing over"
if lab_in gateway timeout 20 "$LAB_BUILD/dataplane/guideway-engine" --port af_xdp:cl0 --port af_xdp:nonesuch \
  --socket "$LAB_RUN/engine.sock" --state-dir "$LAB_RUN/engine" --bpffs "$LAB_PINS" --table-dir "$LAB_TABLES" \
  >"$LAB_RUN/log/refused.log" 2>&1; then
  fail "an engine starts on an interface that isn't there"
fi
equal "the servers behind $vip then" 'web1 web2 web3' "$(servers_behind "$vip")"
say "load, while an engine takes over from the kernel, is killed, and another takes over"
load 8 "$vip"
for round in 1 2 3; do
  sleep 1
  lab_start_engine
  lab_wait_until 10 get "${LAB_VIP4[nat]}" / -o /dev/null || fail "the engine doesn't take over"
  [ "$round" = 3 ] || kill -9 "$(cat "$LAB_RUN/pids/supervisor")" "$(cat "$LAB_RUN/pids/engine")"
done
load_ended
lab_wait_until 10 lab_gateway_answers || fail "an engine started by hand doesn't forward from the snapshot"

kill -INT $ping
wait $ping || true
lost=$(grep -oE '[0-9.]+% packet loss' "$LAB_RUN/log/ping.log")
equal "pings to the gateway in all of this" '0% packet loss' "$lost"
equal "the servers afterwards" 'web1 web2 web3' "$(servers_behind "$vip")"
for i in "${!addresses[@]}"; do
  wait "${downloads[i]}" || fail "a connection to ${addresses[i]} broke when the engine was killed"
  equal "what it carried" "$checksum" "$(sha256sum <"$LAB_RUN/download$i")"
done
has 'took up .* entries of connections' <"$LAB_RUN/log/engine.log" || fail "the engine doesn't say what it took up"

say "load, while the engine is stopped and goes on: the kernel doesn't wait for its heartbeat"
kill -9 "$(cat "$LAB_RUN/pids/supervisor")" "$(cat "$LAB_RUN/pids/engine")"
LAB_HEARTBEAT=10 lab_start_engine
lab_wait_until 10 lab_gateway_answers || fail "an engine whose heartbeat is asked for doesn't forward"
for address in "$vip" "${LAB_VIP6[dsr-gue]}"; do
  load 4 "$address"
  sleep 1
  kill -STOP "$(cat "$LAB_RUN/pids/engine")"
  equal "the servers behind $address, of an engine that is stopped" 'web1 web2 web3' "$(servers_behind "$address")"
  sleep 1
  kill -CONT "$(cat "$LAB_RUN/pids/engine")"
  load_ended
done
get "${LAB_VIP4[nat]}" / -o /dev/null || fail "the engine doesn't go on"

say "an engine that has lost its saved state: the kernel goes on until the daemon brings one"
kill -9 "$(cat "$LAB_RUN/pids/supervisor")" "$(cat "$LAB_RUN/pids/engine")"
rm "$LAB_RUN/engine/snapshot"
lab_start_engine
lab_wait_until 10 test -S "$LAB_RUN/engine.sock"
equal "the servers meanwhile" 'web1 web2 web3' "$(servers_behind "$vip")"
lab_start_daemon
lab_wait_until 10 get "${LAB_VIP4[nat]}" / -o /dev/null || fail "the engine doesn't take over once it has a state"
lab_wait_until 10 lab_cli status || fail "a new daemon doesn't find the engine"
lab_wait_until 10 lab_engine_tells || fail "the daemon has no word of the engine"
[ "$(dropped | jq .no_socket)" -ge 4 ] || fail "XDP didn't count what it couldn't serve: $(dropped)"
[ "$(lab_cli status -o json | jq '[.engine.status.ports[].balanced | tonumber] | add')" -gt 10000 ] ||
  fail "status doesn't tell what the kernel has balanced"
set_endpoint web3 False False False
gone() { [ "$(servers_behind "$vip")" = 'web1 web2' ]; }
lab_wait_until 10 gone || fail "a new daemon can't change the restarted engine"
