#!/usr/bin/env bash
# A new engine takes the place of the one that runs, under load, and no connection breaks, by dsr or nat. One that can't
# bind, or that dies at any moment of it, breaks none either.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
LAB_HEARTBEAT=10
lab_start_gateway || fail "the gateway doesn't start"
engine_log=$LAB_RUN/log/engine.log
pid() { cat "$LAB_RUN/pids/engine"; }
is_gone() { ! grep -qs guideway-engine "/proc/$1/comm"; }
answers() { lab_engine_tells && get "${LAB_VIP4[nat]}" / -o /dev/null 2>/dev/null; }

# `loads SECONDS`: on connections that stay, with content that is compared; `loads_ended` judges them.
loads() {
  local address
  stop=$LAB_RUN/stop
  rm -f "$stop"
  ip netns exec "$LAB_PREFIX-client" /usr/bin/python3 -B "$LAB_ROOT/pktgen-tests/netns/outages.py" stream "$stop" \
    "${LAB_VIP4[dsr-ipip]}" "${LAB_VIP6[dsr-gue]}" "${LAB_VIP4[dsr-l2]}" "${LAB_VIP4[nat]}" "${LAB_VIP6[nat]}" \
    >"$LAB_RUN/log/streams" 2>&1 &
  streams=$!
  load_pids=()
  for address in "${LAB_VIP4[dsr-ipip]}" "${LAB_VIP4[nat]}"; do
    ip netns exec "$LAB_PREFIX-client" wrk -t 1 -c 10 -d 300 --timeout 20s "http://$address/" \
      >"$LAB_RUN/log/wrk-$address" 2>&1 &
    load_pids+=($!)
  done
}

loads_ended() {
  : >"$stop"
  kill -INT "${load_pids[@]}"
  wait "${load_pids[@]}" || fail "a client ended with an error"
  ! grep -E 'Socket errors|Non-2xx' "$LAB_RUN"/log/wrk-* || fail "requests failed"
  wait "$streams" || fail "$(cat "$LAB_RUN/log/streams")"
  cat "$LAB_RUN/log/streams"
}

say "upgraded under load"
loads
sleep 0.5
for _ in 1 2 3; do
  before=$(pid)
  kill -HUP "$(cat "$LAB_RUN/pids/supervisor")"
  lab_wait_until 20 is_gone "$before" || fail "the engine doesn't make way"
  replaced() { [ "$(pid)" != "$before" ]; }
  lab_wait_until 5 replaced || fail "the supervisor knows nothing of the new engine"
  lab_wait_until 10 answers || fail "the new engine doesn't forward"
  sleep 0.5
done
equal "times that an engine made way" 3 "$(grep -c 'the other engine has taken over' "$engine_log")"
! grep 'starting it again' "$engine_log" || fail "an engine was started again"
loads_ended

say "the new engine dies at any moment of it"
loads
for attempt in $(seq 8); do
  kill -HUP "$(cat "$LAB_RUN/pids/supervisor")"
  # Bash has it in hand once there are two.
  newest() { pgrep -n -f "^$LAB_BUILD/dataplane/guideway-engine.*--socket $LAB_RUN/engine.sock.* --upgrade"; }
  lab_wait_until 5 newest >/dev/null || fail "no new engine starts"
  # Every second one around the moment that the old one makes way.
  made_way=$(grep -c 'making way' "$engine_log") || true
  makes_way() { [ "$(grep -c 'making way' "$engine_log")" -gt "$made_way" ]; }
  [ $((attempt % 2)) = 0 ] || lab_wait_until 20 makes_way || fail "the old engine doesn't make way"
  sleep "0.0$((RANDOM % 10))$((RANDOM % 10))"
  kill -9 "$(newest)"
  lab_wait_until 20 answers || fail "none forwards"
done
say "came back $(grep -c 'this one goes on' "$engine_log") times, started again $(grep -c 'starting it again' "$engine_log") times"
loads_ended

say "one that can't bind"
kill -9 "$(cat "$LAB_RUN/pids/supervisor")"
before=$(pid)
socket() { stat -c '%a %U %G' "$LAB_RUN/engine.sock"; }
socket_before=$(socket)
lab_in gateway ip link add held type veth peer name other
lab_in gateway ip link set held up
lab_in gateway ip link set other up
coproc holder { exec ip netns exec "$LAB_PREFIX-gateway" /usr/bin/python3 -B "$LAB_ROOT/pktgen-tests/netns/hold_queue.py" held; }
read -r bound <&"${holder[0]}"
equal "the other program's word" bound "$bound"
loads
sleep 0.5
lab_engine_command --port af_xdp:held --upgrade --background
code=0
refusal=$(lab_in gateway "${LAB_ENGINE[@]}" 2>&1) || code=$?
equal "the exit code of an engine that can't bind" 1 "$code"
has 'queue 0 of held: another socket has it' <<<"$refusal" || fail "$refusal"
lab_wait_until 10 answers || fail "the old engine doesn't go on"
equal "the engine" "$before" "$(lab_in gateway pgrep -f "^$LAB_BUILD/dataplane/guideway-engine.*--socket $LAB_RUN/engine.sock")"
tail -n 3 "$engine_log" | has 'this one goes on' || fail "the old engine doesn't say that it goes on"
equal "the socket's mode, owner and group" "$socket_before" "$(socket)"
! lab_in gateway ip -o link show held | grep ' xdp' || fail "the program of the one that couldn't is left"
loads_ended

say "one with places of its own"
for option in --state-dir --bpffs --table-dir; do
  lab_engine_command --upgrade --background
  for i in "${!LAB_ENGINE[@]}"; do [ "${LAB_ENGINE[i]}" != $option ] || LAB_ENGINE[i + 1]+=-other; done
  code=0
  refusal=$(lab_in gateway "${LAB_ENGINE[@]}" 2>&1) || code=$?
  equal "the exit code of an engine with another $option" 1 "$code"
  has "the engine that runs here has another $option" <<<"$refusal" || fail "$refusal"
done
lab_engine_tells || fail "the old engine doesn't go on"

say "in the background, with other workers, and where none runs"
lab_engine_command --upgrade --background --workers 2
loads
lab_in gateway "${LAB_ENGINE[@]}" >>"$engine_log" 2>&1 || fail "the upgrade fails"
is_gone "$before" || lab_wait_until 5 is_gone "$before" || fail "the old engine is still there"
workers() { lab_cli status -o json | jq '.engine.status.workers | length'; }
has_two() { [ "$(workers)" = 2 ]; }  # once the daemon has found the new engine
lab_wait_until 5 has_two || equal "workers" 2 "$(workers)"
sleep 0.5
loads_ended
lab_in gateway pkill -9 -f "^$LAB_BUILD/dataplane/guideway-engine.*--socket $LAB_RUN/engine.sock"
lab_in gateway "${LAB_ENGINE[@]}" >>"$engine_log" 2>&1 || fail "where none runs, none starts"
lab_wait_until 10 answers || fail "it doesn't forward"
