#!/usr/bin/env bash
# Without traffic the engine's worker sleeps, and wakes for the first packet: none is lost.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
lab_start_gateway || fail "the gateway doesn't start"
# Of all threads: a worker that polls gives its core away, and never waits.
waits() { awk '$1 == "voluntary_ctxt_switches:" {n += $2} END {print n}' "/proc/$(cat "$LAB_RUN/pids/engine")"/task/*/status; }
much_to nat
sleep 1
before=$(waits)
sleep 2
slept=$(($(waits) - before))
say "it slept $slept times in 2 s"
[ "$slept" -gt 300 ] || fail "the worker polls on without traffic"
for address in "${LAB_VIP4[nat]}" "${LAB_VIP6[nat]}"; do
  lost=$(lab_in client ping -n -i 0.1 -c 30 -W 2 "$address" | grep -oE '[0-9.]+% packet loss')
  equal "pings of $address, each after 100 ms of silence" '0% packet loss' "$lost"
  lab_ask "$address" 20 100 >/dev/null || fail "UDP to $address isn't answered"
done
