#!/usr/bin/env bash
# Two workers, and all traffic enters by the one queue that each link has: flows of nat belong to one worker or the other
# and are handed over, DSR's are nobody's. Many connections at once, none fails and nothing is dropped.
. "$(dirname "$0")/prologue.sh"

needs_gateway
[ "$(nproc)" -ge 2 ] || skip "two workers need two cores"
begin
lab_start_gateway --workers 2 || fail "the gateway doesn't start"
meet_neighbors

equal "how many workers there are" 2 "$(lab_cli status -o json | jq '.engine.status.workers | length')"
before=$(of_workers .handed_over)
much_to nat
handed=$(($(of_workers .handed_over) - before))
for mode in dsr-l2 dsr-gue; do much_to $mode; done

say "handed over: $handed packets of nat"
[ "$handed" -gt 1000 ] || fail "the workers handed over only $handed packets of nat"
# What DSR adds is only what the last round of nat left behind: its connections' last ACKs.
after=$(($(of_workers .handed_over) - before))
[ $((after - handed)) -lt 1000 ] || fail "DSR packets were handed over: $((after - handed))"
connections=$(lab_cli status -o json | jq -c '[.engine.status.workers[].connections_ipv4 | tonumber? // 0]')
say "connections of the workers: $connections"
[ "$(jq 'min > 0' <<<"$connections")" = true ] || fail "one worker keeps no connection: $connections"
nothing_dropped
