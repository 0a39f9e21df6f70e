#!/usr/bin/env bash
# `guideway connections`, held against what the sockets of clients and servers say of the same connections.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
lab_start_gateway --workers 2 || fail "the gateway doesn't start"

# `sockets NAMESPACE PEER local|peer`: ports of the connections that stand to an address.
sockets() {
  lab_in "$1" ss -tnH state established dst "$(in_url "$2")" |
    awk -v column=$([ "$3" = local ] && echo 3 || echo 4) '{sub(/.*:/, "", $column); print $column}' | sort -n | paste -sd' '
}
listed() { lab_cli connections "$@" -o json | jq -r '.connections[].'"$field" | sort -n | paste -sd' '; }
count_is() { [ "$(lab_cli connections --count "${@:2}")" = "$1" ]; }

for mode in dsr-ipip nat; do
  for vip in "${LAB_VIP4[$mode]}" "${LAB_VIP6[$mode]}"; do
    say "$mode $vip"
    standing=(--vip "$(in_url "$vip"):80" --state established)
    pids=()
    for _ in {1..20}; do  # not by a function: the job is curl itself
      ip netns exec "$LAB_PREFIX-client" curl -sS -m 60 -o /dev/null "http://$(in_url "$vip")/slow" &
      pids+=($!)
    done
    lab_wait_until 10 count_is 20 "${standing[@]}" || fail "20 connections stand, $(lab_cli connections --count "${standing[@]}") are counted"
    field=client_port
    equal "the client's ports" "$(sockets client "$vip" local)" "$(listed "${standing[@]}")"
    seen=0
    for server in "${LAB_SERVERS[@]}"; do
      case $vip in
      *:*) backend=${LAB_ADDRESS6[$server]} client=fd77:1::2 snat=$LAB_SNAT6 ;;
      *) backend=${LAB_ADDRESS4[$server]} client=10.77.1.2 snat=$LAB_SNAT4 ;;
      esac
      peer=$client field=client_port
      [ $mode != nat ] || peer=$snat field=snat_port
      ports=$(sockets "$server" "$peer" peer)
      equal "ports that $server sees" "$ports" "$(listed "${standing[@]}" --backend "$backend")"
      seen=$((seen + $(wc -w <<<"$ports")))
    done
    equal "connections that stand at the servers" 20 $seen
    kill "${pids[@]}"
    wait "${pids[@]}" || true
    lab_wait_until 10 count_is 0 "${standing[@]}" || fail "connections that the client has ended are still established"
  done
done

say "what is listed agrees with what is counted live"
live() { lab_cli services -o json | jq '[.services[] | .counters.live_connections // 0 | tonumber] | add'; }
agree() {  # what has idled out is counted until housekeeping comes by
  [ "$(live)" = "$(lab_cli connections --count)" ] && [ "$(live)" = "$(lab_cli connections --limit 100000 -o json | jq '.connections | length')" ]
}
lab_wait_until 20 agree || fail "$(live) connections live, $(lab_cli connections --count) are counted"
equal "rows" 5 "$(lab_cli connections --limit 5 2>/dev/null | tail -n +2 | wc -l)"
