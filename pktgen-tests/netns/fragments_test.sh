#!/usr/bin/env bash
# UDP datagrams of 4 kB through every mode, both ways (in nat the answers' fragments pass the gateway too), by the kernel's
# own fragments and by ours in any order; and pings to VIPs, which the gateway itself answers.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
lab_start_gateway --workers 2 || fail "the gateway doesn't start"
meet_neighbors
# The servers' links take larger packets than the client's. In nat their first large answers over IPv6 are lost, as the
# gateway tells them so; then they know the path's MTU.
lab_wait_until 20 lab_ask "${LAB_VIP6[nat]}" 60 4000 || fail "the servers don't learn the path MTU: $(dropped)"
equal "what was dropped besides" '["mtu_exceeded"]' "$(jq -c 'del(.no_neighbor) | keys' <<<"$(dropped)")"
dropped_first=$(dropped)

# `seen WHAT SIZE ANSWERS`: what servers saw, besides their names, was SIZE bytes from the one address.
seen() { equal "$1" "$2" "$(awk '{print $3, $4}' <<<"$3" | sort -u)"; }

for mode in "${LAB_MODES[@]}" "${LAB_MIXED[@]}"; do
  for vip in "${LAB_VIP4[$mode]}" "${LAB_VIP6[$mode]}"; do
    say "$mode $vip"
    case $mode:$vip in
    nat:*:*) client=$LAB_SNAT6 ;;
    nat:*) client=$LAB_SNAT4 ;;
    *:*:*) client=fd77:1::2 ;;
    *) client=10.77.1.2 ;;
    esac
    answers=$(lab_ask "$vip" 200 4000) || fail "UDP of 4000 bytes to $vip: $answers; dropped: $(dropped)"
    seen "what servers saw of UDP in fragments to $vip" "4000 $client" "$answers"
    for order in in-order reversed shuffled; do
      answers=$(lab_in client /usr/bin/python3 -B "$LAB_ROOT/pktgen-tests/netns/fragments.py" "$vip" 7 60 4000 $order) ||
        fail "UDP in fragments ($order) to $vip: $answers; dropped: $(dropped)"
      seen "what servers saw of fragments ($order) to $vip" "4000 $client" "$answers"
      [ "$(wc -l <<<"$answers")" -ge 2 ] || fail "fragments ($order) to $vip all went to one server: $answers"
    done
    lab_in client ping -q -c 5 -i 0.1 -w 5 "$vip" | has ' 5 received' || fail "pings to $vip aren't answered"
  done
done
nothing_dropped

say "fragments whose first never comes"
lab_in client /usr/bin/python3 -B "$LAB_ROOT/pktgen-tests/netns/fragments.py" "${LAB_VIP4[dsr-ipip]}" 7 1 4000 headless >/dev/null &&
  fail "a datagram without its first fragment is answered"
say "dropped: $(dropped)"
