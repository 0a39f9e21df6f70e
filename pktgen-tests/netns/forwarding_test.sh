#!/usr/bin/env bash
# Every mode over both families and their mixes, TCP and UDP: the right servers answer, full-size packets pass both ways, servers see the address
# that the mode promises, and DSR's answers don't pass the gateway. The gateway's own ping and ssh go on under load.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
lab_start_gateway --workers 2 || fail "the gateway doesn't start"
meet_neighbors
checksum=$(lab_big_file | sha256sum)

for mode in "${LAB_MODES[@]}" "${LAB_MIXED[@]}"; do
  expected='web1 web2 web3'
  [ $mode != dsr-l2 ] || expected='web1 web2'
  for vip in "${LAB_VIP4[$mode]}" "${LAB_VIP6[$mode]}"; do
    say "$mode $vip"
    equal "the servers behind $vip" "$expected" "$(servers_behind "$vip")"
    case $mode:$vip in
    nat:*:*) client=$LAB_SNAT6 ;;
    nat:*) client=$LAB_SNAT4 ;;
    *:*:*) client=fd77:1::2 ;;
    *) client=10.77.1.2 ;;
    esac
    equal "the address that servers of $vip see" $client "$(get "$vip" /client)"

    before=$(packets gateway srv0 rx)
    for _ in 1 2 3 4 5; do
      equal "the large file from $vip" "$checksum" "$(get "$vip" /big | sha256sum)"
    done
    passed=$(($(packets gateway srv0 rx) - before))
    case $mode in
    nat) [ $passed -gt 1000 ] || fail "answers of nat don't pass the gateway: $passed packets came from the servers" ;;
    *) [ $passed -lt 100 ] || fail "answers of $mode pass the gateway: $passed packets came from the servers" ;;
    esac
    equal "an upload to $vip" 1000000 "$(lab_big_file | get "$vip" /upload --data-binary @-)"

    full=1472  # what fits a packet of 1500 with the headers of IPv4 and UDP
    case $vip in *:*) full=1452 ;; esac
    before=$(packets gateway srv0 rx)
    for size in 1 $full; do
      answers=$(lab_ask "$vip" 300 $size) || fail "UDP of $size bytes to $vip: $answers"
      equal "the servers that answer UDP of $size bytes to $vip" "$expected" "$(awk '{print $2}' <<<"$answers" | paste -sd' ')"
      equal "what they saw of UDP to $vip" "$size $client" "$(awk '{print $3, $4}' <<<"$answers" | sort -u)"
    done
    passed=$(($(packets gateway srv0 rx) - before))
    case $mode in
    nat) [ $passed -ge 600 ] || fail "UDP answers of nat don't pass the gateway: $passed packets" ;;
    *) [ $passed -lt 100 ] || fail "UDP answers of $mode pass the gateway: $passed packets" ;;
    esac
  done
done

say "the gateway's own traffic, under load"
load 8s "${LAB_VIP4[dsr-ipip]}"
for address in $LAB_GATEWAY4 $LAB_GATEWAY6; do
  lab_in client ping -q -c 10 -i 0.1 -w 5 $address | has ' 10 received' || fail "pings to $address are lost"
  equal "ssh to $address" hello "$(lab_ssh $address echo hello)"
done
load_ended

nothing_dropped
