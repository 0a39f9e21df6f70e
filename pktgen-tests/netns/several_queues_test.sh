#!/usr/bin/env bash
# Links of two queues, and a worker for each: flows come in by both, belong to either worker whichever queue they came by,
# and leave by the queue of the worker that sends them. Many connections at once, none fails and nothing is dropped.
LAB_QUEUES=2
. "$(dirname "$0")/prologue.sh"

needs_gateway
[ "$(nproc)" -ge 2 ] || skip "two workers need two cores"
begin
lab_start_gateway --workers 2 || fail "the gateway doesn't start"
meet_neighbors

status() { lab_cli status -o json | jq -c ".engine.status.$1"; }
# `queues LINK`: what came in by each, as the XDP program saw it.
queues() { lab_in gateway ethtool -S "$1" | awk '/rx_queue_[0-9]+_xdp_packets/ {print $2}' | paste -sd' '; }

equal "queues of the ports" '[2,2]' "$(status 'ports | map(.queues)')"
equal "how many workers there are" 2 "$(status 'workers | length')"
for mode in "${LAB_MODES[@]}"; do
  cl0=($(queues cl0)) srv0=($(queues srv0)) handed=$(of_workers .handed_over)
  much_to "$mode"
  handed=$(($(of_workers .handed_over) - handed))
  now=($(queues cl0))
  came=($((now[0] - cl0[0])) $((now[1] - cl0[1])))
  say "$mode: packets of the client by queue: ${came[*]}; handed over: $handed"
  [ "${came[0]}" -gt 1000 ] && [ "${came[1]}" -gt 1000 ] || fail "a queue of cl0 gets too little: ${came[*]}"
  if [ "$mode" = nat ]; then
    now=($(queues srv0))
    came=($((now[0] - srv0[0])) $((now[1] - srv0[1])))
    say "$mode: packets of the servers by queue: ${came[*]}"
    [ "${came[0]}" -gt 1000 ] && [ "${came[1]}" -gt 1000 ] || fail "a queue of srv0 gets too little: ${came[*]}"
    [ $handed -gt 1000 ] || fail "the workers handed over only $handed packets of nat"
  fi
done
nothing_dropped
