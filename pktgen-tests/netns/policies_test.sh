#!/usr/bin/env bash
# What a Service says about its clients: who may connect (loadBalancerSourceRanges, and the same as a list of those who may
# not), and that a client stays with its server (sessionAffinity). In DSR and in nat, over both families, from addresses of
# one client.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
for n in {3..12}; do
  lab_in client ip address add 10.77.1.$n/24 dev gw0
  lab_in client ip address add fd77:1::$(printf %x $n)/64 dev gw0 nodad
done
lab_start_gateway --workers 2 || fail "the gateway doesn't start"
meet_neighbors
modes=(dsr-ipip nat)
vips=()
for mode in "${modes[@]}"; do vips+=("${LAB_VIP4[$mode]}" "${LAB_VIP6[$mode]}"); done

# `client N VIP`: the client's Nth address of the VIP's family.
client() { case $2 in *:*) printf "fd77:1::%x\n" "$1" ;; *) echo "10.77.1.$1" ;; esac; }
# `from N VIP [CURL ARGUMENT...]`: who answers it.
from() { get "$2" / --interface "$(client "$1" "$2")" --connect-timeout 1 "${@:3}" 2>/dev/null; }
everywhere() {
  local mode
  for mode in "${modes[@]}"; do edit $mode.yaml "$1"; done
}
# `admits N VIP`, `refuses N VIP`: within a few seconds of a change.
admits() { lab_wait_until 5 from "$1" "$2" || fail "$2 doesn't answer $(client "$1" "$2")"; }
refused_now() { ! from "$1" "$2" --connect-timeout 0.3; }
refuses() { lab_wait_until 5 refused_now "$1" "$2" || fail "$2 answers $(client "$1" "$2")"; }

say "ranges that may connect"
everywhere "text.replace('  loadBalancerClass:', '  loadBalancerSourceRanges: [10.77.1.2/32, 10.77.1.8/29, \"fd77:1::2/128\", \"fd77:1::8/125\"]\n  loadBalancerClass:', 1)"
for vip in "${vips[@]}"; do
  refuses 3 "$vip"
  refuses 7 "$vip"
  for n in 2 8 12; do admits $n "$vip"; done
done
say "ranges that may not"
everywhere "text.replace('  annotations:\n', '  annotations:\n    service.cilium.io/src-ranges-policy: deny\n', 1)"
for vip in "${vips[@]}"; do
  refuses 2 "$vip"
  refuses 12 "$vip"
  for n in 3 7; do admits $n "$vip"; done
done
say "none any more"
everywhere "text.replace('  loadBalancerSourceRanges: ', '  # was: ')"
for vip in "${vips[@]}"; do for n in 2 3; do admits $n "$vip"; done; done

say "affinity"
everywhere "text.replace('sessionAffinity: None', 'sessionAffinity: ClientIP\n  sessionAffinityConfig:\n    clientIP:\n      timeoutSeconds: 4')"
# `one_server N VIP`: all of twenty connections meet the same; sets `server`.
one_server() {
  server=$(lab_in client curl -sS --fail --connect-timeout 3 -m 20 -H 'Connection: close' --interface "$(client "$1" "$2")" \
    "http://$(in_url "$2")/?[1-20]" | sort -u | paste -sd' ')
  [[ $server != *' '* ]]
}
for vip in "${vips[@]}"; do
  lab_wait_until 5 one_server 2 "$vip" || fail "$(client 2 "$vip") meets several servers of $vip: $server"
  all=
  for n in {2..12}; do
    one_server $n "$vip" || fail "$(client $n "$vip") meets several servers of $vip: $server"
    all+="$server "
  done
  [ "$(tr ' ' '\n' <<<"$all" | sort -u | grep -c web)" -ge 2 ] || fail "all clients of $vip meet one server: $all"
done

say "a client whose server goes moves at once, and stays where it moved until it was away for long enough"
for vip in "${vips[@]}"; do
  one_server 2 "$vip" || fail "$(client 2 "$vip") meets several servers of $vip: $server"
  home=$server
  elsewhere() { one_server 2 "$vip" && [ "$server" != "$home" ]; }
  at_home() { [ "$(from 2 "$vip")" = "$home" ]; }
  set_endpoint "$home" False True True
  lab_wait_until 5 elsewhere || fail "$(client 2 "$vip") stays at $home, which terminates"
  away=$server
  set_endpoint "$home" True True False
  sleep 1.5
  one_server 2 "$vip" || fail "$(client 2 "$vip") meets several servers of $vip: $server"
  equal "where $(client 2 "$vip") is with $vip once $home is back" "$away" "$server"
  sleep 5.5  # longer than the affinity lasts
  at_home || fail "$(client 2 "$vip") didn't go back to $home after its affinity ended: $(from 2 "$vip")"
done
