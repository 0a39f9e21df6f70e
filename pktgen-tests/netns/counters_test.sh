#!/usr/bin/env bash
# What `guideway services`, `backends` and `drops` count, held against what the client did and which servers answered it.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
lab_start_gateway --workers 2 || fail "the gateway doesn't start"
meet_neighbors

# `of_service VIP FIELD`: of its HTTP port. `of_backend VIP SERVER FIELD`.
of_service() { lab_cli services -o json | jq -r --arg vip "$1" \
  '.services[] | select(.vip == $vip and .port == 80) | .counters.'"$2"' // 0 | tonumber'; }
of_backend() { lab_cli backends -o json | jq -r --arg vip "$1" --arg node "$2" \
  '[.backends[] | select(.vip == $vip and .vip_port == 80 and .node == $node) | .counters.'"$3"' // 0 | tonumber] | add // 0'; }

for mode in "${LAB_MODES[@]}" "${LAB_MIXED[@]}"; do
  for vip in "${LAB_VIP4[$mode]}" "${LAB_VIP6[$mode]}"; do
    say "$mode $vip"
    declare -A begun=()
    for server in "${LAB_SERVERS[@]}"; do begun[$server]=$(of_backend "$vip" "$server" connections); done
    connections=$(of_service "$vip" connections) packets=$(of_service "$vip" packets) bytes=$(of_service "$vip" bytes)
    replies=$(of_service "$vip" reply_packets)
    answers=$(lab_in client curl -sS --fail --connect-timeout 3 -m 20 -H 'Connection: close' "http://$(in_url "$vip")/?[1-60]")
    equal "connections begun to $vip" 60 $(($(of_service "$vip" connections) - connections))
    for server in "${LAB_SERVERS[@]}"; do
      equal "connections of $vip begun at $server" "$(grep -c $server <<<"$answers" || true)" \
        $(($(of_backend "$vip" $server connections) - ${begun[$server]}))
    done
    # SYN, ACK, request, ACKs and FIN at least; a request has some 80 bytes besides headers.
    packets=$(($(of_service "$vip" packets) - packets)) bytes=$(($(of_service "$vip" bytes) - bytes))
    { [ $packets -ge 240 ] && [ $packets -le 900 ]; } || fail "$packets packets were counted for 60 connections to $vip"
    { [ $bytes -ge $((packets * 40 + 60 * 60)) ] && [ $bytes -le $((packets * 80 + 60 * 200)) ]; } ||
      fail "$bytes bytes were counted for $packets packets to $vip"
    replies=$(($(of_service "$vip" reply_packets) - replies))
    case $mode in
    nat) { [ $replies -ge 180 ] && [ $replies -le 900 ]; } || fail "$replies replies were counted for 60 connections to $vip" ;;
    *) equal "replies counted for $vip" 0 $replies ;;
    esac
  done
done

say "a backend goes: what its service counted stays"
vip=${LAB_VIP4[dsr-ipip]}
before=$(of_service "$vip" connections)
set_endpoint web2 False False False
without_web2() { [ "$(servers_behind "$vip" 40)" = "web1 web3" ]; }
lab_wait_until 5 without_web2 || fail "web2 still answers for $vip"
sleep 2  # the sweep folds the row of a removed real into its service's
[ "$(of_service "$vip" connections)" -ge $((before + 40)) ] || fail "$vip lost counts with web2: $before, now $(of_service "$vip" connections)"
set_endpoint web2 True True False

say "what comes faster than the workers take it"
engine=$(cat "$LAB_RUN/pids/engine")
kill -STOP "$engine"
lab_in client /usr/bin/python3 -B -c "
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(6000):
    s.sendto(b'x', ('${LAB_VIP4[dsr-l2]}', 7))
    if i % 100 == 99: time.sleep(0.002)"
kill -CONT "$engine"
full=$(lab_cli drops -o json | jq '[.drops[] | select(.reason == "rx_full") | .packets_by_xdp | tonumber] | add // 0')
# What the ring of 2,048 had no room for, but for some that the links may have lost.
{ [ "$full" -ge 3500 ] && [ "$full" -le 4000 ]; } || fail "$full of 6,000 packets are counted as rx_full: $(dropped)"

say "drops"
lab_in client curl -s -o /dev/null --connect-timeout 0.3 http://192.0.2.10:81/ || true
equal "drops as status and drops tell them" "$(dropped)" \
  "$(lab_cli drops -o json | jq -cS '[.drops[] | select((.packets // 0 | tonumber) > 0) | {(.reason): (.packets | tonumber)}] | add // {}')"
