#!/usr/bin/env bash
# Two workers, and all traffic enters by the one queue that each link has: flows of nat belong to one worker or the other
# and are handed over, DSR's are nobody's. Many connections at once, none fails and nothing is dropped.
. "$(dirname "$0")/prologue.sh"

needs_gateway
[ "$(nproc)" -ge 2 ] || skip "two workers need two cores"
begin
lab_start_gateway --workers 2 || fail "the gateway doesn't start"
meet_neighbors

workers() { lab_cli status -o json | jq -r ".engine.status.workers | map($1 | tonumber? // 0) | add"; }

equal "how many workers there are" 2 "$(lab_cli status -o json | jq '.engine.status.workers | length')"
before=$(workers .handed_over)
for mode in nat dsr-l2 dsr-ipip; do
  for vip in "${LAB_VIP4[$mode]}" "${LAB_VIP6[$mode]}"; do
    say "$mode $vip"
    # A connection each: 600 one after the other, 300 that stand side by side.
    equal "answers of $vip" 600 "$(lab_in client curl -sS --fail -m 60 -H 'Connection: close' \
      "http://$(in_url "$vip")/?[1-600]" | grep -c '^web')"
    lab_in client wrk -t 1 -c 300 -d 2s --timeout 5s "http://$(in_url "$vip")/" >"$LAB_RUN/log/wrk.log" 2>&1
    ! grep -E 'Socket errors|Non-2xx' "$LAB_RUN/log/wrk.log" || fail "requests to $vip failed: $(cat "$LAB_RUN/log/wrk.log")"
    answers=$(lab_ask "$vip" 500 100) || fail "UDP to $vip: $answers"
    # And large packets both ways at once.
    seq 20 | lab_in client xargs -P 4 -I{} curl -sS --fail -m 60 -o /dev/null "http://$(in_url "$vip")/big" ||
      fail "downloads from $vip failed"
    if [ $mode = nat ]; then handed=$(($(workers .handed_over) - before)); fi
  done
done

say "handed over: $handed packets of nat"
[ "$handed" -gt 1000 ] || fail "the workers handed over only $handed packets of nat"
# What DSR adds is only what the last round of nat left behind: its connections' last ACKs.
after=$(($(workers .handed_over) - before))
[ $((after - handed)) -lt 1000 ] || fail "DSR packets were handed over: $((after - handed))"
connections=$(lab_cli status -o json | jq -c '[.engine.status.workers[].connections_ipv4 | tonumber? // 0]')
say "connections of the workers: $connections"
[ "$(jq 'min > 0' <<<"$connections")" = true ] || fail "one worker keeps no connection: $connections"
nothing_dropped
