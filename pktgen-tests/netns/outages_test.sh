#!/usr/bin/env bash
# 20 times the engine is killed at a random moment, and started again by its supervisor; between, it is stopped and goes on,
# is upgraded, the daemon is killed and started, and backends drain, leave and come back. Meanwhile: load on connections that
# come and go, streams whose content is known, and a datagram each millisecond, of dsr and nat. No connection breaks; how
# long the gaps were is printed.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
LAB_HEARTBEAT=10
lab_start_gateway || fail "the gateway doesn't start"
RANDOM=${SEED:=$$}
say "seed $SEED"

stop=$LAB_RUN/stop events=$LAB_RUN/events
client=(ip netns exec "$LAB_PREFIX-client")  # no function: in the background it is a shell of its own, and $! is that
outages=("${client[@]}" /usr/bin/python3 -B "$LAB_ROOT/pktgen-tests/netns/outages.py")
event() { printf '%s %s\n' "$(date +%s.%N)" "$1" >>"$events"; }
pause() { sleep "$(($1 + RANDOM % 2)).$((RANDOM % 10))"; }
pid() { cat "$LAB_RUN/pids/$1"; }
replaced() { [ -s "$LAB_RUN/pids/engine" ] && [ "$(pid engine)" != "$before" ]; }
restart_daemon() {
  local before
  before=$(pid daemon)
  rm "$LAB_RUN/pids/daemon"
  kill -9 "$before"
  wait "$before" 2>/dev/null || true
  lab_start_daemon
}

dsr=${LAB_VIP4[dsr-ipip]} nat=${LAB_VIP4[nat]}
"${outages[@]}" stream "$stop" "$dsr" "${LAB_VIP6[dsr-gue]}" "${LAB_VIP4[dsr-l2]}" "$nat" "${LAB_VIP6[nat]}" \
  >"$LAB_RUN/log/streams" 2>&1 &
streams=$!
"${outages[@]}" probe "$stop" "$LAB_RUN/probe-dsr" "$dsr" &
probes=($!)
"${outages[@]}" probe "$stop" "$LAB_RUN/probe-nat" "$nat" &
probes+=($!)
# On few cores a load without pauses would measure how the scheduler shares them with an engine that starts.
echo 'function delay() return 10 end' >"$LAB_RUN/pause.lua"  # in milliseconds
loads=()
for address in "$dsr" "$nat"; do
  "${client[@]}" wrk -t 1 -c 10 -d 600 --timeout 20s -s "$LAB_RUN/pause.lua" "http://$address/" >"$LAB_RUN/log/wrk-$address" 2>&1 &
  loads+=($!)
done
sleep 1

conditions=('True True False' 'False True True' 'False False False')  # ready, serving, terminating
for kill in $(seq 20); do
  case $((kill % 4)) in
    1) # shellcheck disable=SC2086
      set_endpoint web3 ${conditions[RANDOM % 3]} ;;
    2)
      event 'the engine is stopped for a while'
      kill -STOP "$(pid engine)"
      # shellcheck disable=SC2086
      [ $((RANDOM % 2)) = 0 ] || set_endpoint web3 ${conditions[RANDOM % 3]}
      pause 0
      kill -CONT "$(pid engine)"
      pause 1 ;;
    3) restart_daemon ;;
    0)
      event 'the engine is upgraded'
      before=$(pid engine)
      kill -HUP "$(pid supervisor)"
      lab_wait_until 10 replaced || fail "no new engine takes over"
      lab_wait_until 20 get "$nat" / -o /dev/null || fail "the new engine doesn't forward"
      pause 0 ;;
  esac
  pause 0
  before=$(pid engine)
  event 'the engine is killed'
  kill -9 "$before"
  lab_wait_until 5 replaced || fail "the supervisor starts no new engine"
  lab_wait_until 20 get "$nat" / -o /dev/null || fail "the new engine doesn't forward"
  pause 0
done

: >"$stop"
kill -INT "${loads[@]}"
wait "${loads[@]}" "${probes[@]}" || fail "a client ended with an error"
for address in "$dsr" "$nat"; do
  ! grep -E 'Socket errors|Non-2xx' "$LAB_RUN/log/wrk-$address" || fail "requests of the load on $address failed"
  say "$address: $(grep 'requests in' "$LAB_RUN/log/wrk-$address")"
done
wait "$streams" || fail "$(cat "$LAB_RUN/log/streams")"
cat "$LAB_RUN/log/streams"
"${outages[@]}" report "$events" "dsr=$LAB_RUN/probe-dsr" "nat=$LAB_RUN/probe-nat"
