#!/usr/bin/env bash
# The processes that run have no more privileges than they need, in any of their threads: the engine four capabilities and
# filtered system calls, the daemon nothing. And with that they do their work: packets, changes, routes, links, a stop.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
workers=$(nproc)
[ "$workers" -lt 2 ] || workers=2

# `every_thread PID NAME VALUE`: it stands so in the status of all its threads.
every_thread() {
  local file
  for file in /proc/"$1"/task/*/status; do
    equal "$2 of $(head -n 1 "$file")" "$3" "$(awk -v name="$2:" '$1 == name {print $2}' "$file")"
  done
}

none=0000000000000000
four=$(printf '%016x' $((1 << 12 | 1 << 13 | 1 << 14 | 1 << 39)))  # CAP_NET_ADMIN, _NET_RAW, _IPC_LOCK, _BPF
lab_start_engine --workers "$workers"
ip netns exec "$LAB_PREFIX-gateway" setpriv --inh-caps=-all --ambient-caps=-all --bounding-set=-all --no-new-privs \
  "$LAB_BUILD/mgmt/guidewayd" --manifests "$LAB_HOME/manifests" --state-dir "$LAB_HOME/daemon" \
  --engine "$LAB_HOME/engine.sock" --listen "unix:$LAB_HOME/guideway.sock" >>"$LAB_HOME/log/daemon.log" 2>&1 </dev/null &
echo $! >"$LAB_HOME/pids/daemon"
lab_wait_until 30 lab_gateway_answers || fail "the gateway doesn't answer"

say "the engine's threads"
engine=$(cat "$LAB_RUN/pids/engine")
threads=$(ls "/proc/$engine/task" | wc -l)
[ "$threads" -gt "$workers" ] || fail "only $threads threads, with $workers workers"
for set in CapEff CapPrm; do every_thread "$engine" $set "$four"; done
for set in CapBnd CapInh CapAmb; do every_thread "$engine" $set $none; done
every_thread "$engine" NoNewPrivs 1
every_thread "$engine" Seccomp 2

say "the daemon's threads"
for set in CapEff CapPrm CapBnd CapInh CapAmb; do every_thread "$(cat "$LAB_RUN/pids/daemon")" $set $none; done

say "a change of the state, of a route and of a link"
set_endpoint web3 False False False
without_web3() { [ "$(servers_behind "${LAB_VIP4[nat]}")" = 'web1 web2' ]; }
lab_wait_until 10 without_web3 || fail "the change doesn't reach the engine"
lab_in gateway ip route replace 10.77.3.0/24 via 10.77.2.254 dev srv0 metric 5
lab_in gateway ip link set dev srv0 down
lab_in gateway ip link set dev srv0 up
lab_in gateway ip route replace 10.77.3.0/24 via 10.77.2.254
lab_in gateway ip -6 address replace fd77:2::1/64 dev srv0 nodad
lab_in gateway ip -6 route replace fd77:3::/64 via fd77:2::254
set_endpoint web3 True True False
lab_wait_until 20 lab_gateway_answers || fail "VIPs don't answer after the link was down"

say "a stop"
kill -9 "$(cat "$LAB_RUN/pids/supervisor")"
kill "$engine"
engine_gone() { ! grep -q guideway-engine "/proc/$engine/comm"; }
lab_wait_until 5 engine_gone || fail "the engine doesn't stop"
[ ! -e "$LAB_RUN/engine.sock" ] || fail "the socket is left"

# Only a log that holds the engine's beginning too has no gaps; some kernels keep it to themselves.
if refused=$(dmesg 2>/dev/null | grep "type=1326 .*pid=$engine "); then fail "system calls of the engine's were refused: $refused"; fi

say "without the filter, if it is asked for"
lab_start_engine --no-seccomp
lab_wait_until 30 lab_gateway_answers || fail "the gateway doesn't answer"
every_thread "$(cat "$LAB_RUN/pids/engine")" Seccomp 0
every_thread "$(cat "$LAB_RUN/pids/engine")" CapEff "$four"
