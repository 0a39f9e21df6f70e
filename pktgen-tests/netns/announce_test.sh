#!/usr/bin/env bash
# A VIP of the client's own network, which no route leads to: announced on the link it is found by ARP and neighbour
# discovery, as long as it has a backend. Who has it is told unasked too. The host's own addresses are the host's.
. "$(dirname "$0")/prologue.sh"

vip4=10.77.1.50
vip6=fd77:1::50
LAB_VIP4[nat]=$vip4
LAB_VIP6[nat]=$vip6

# The MAC address that the client's kernel finds at an address now; empty if nobody answers.
found() {
  lab_in client ip neigh flush to "$1" dev gw0
  lab_in client ping -c 1 -W 1 "$1" >/dev/null 2>&1 || true
  lab_in client ip -j neigh show to "$1" dev gw0 | jq -r '.[0].lladdr // ""'
}
is_found() { [ "$(found "$1")" = "$mac" ]; }
is_not_found() { [ -z "$(found "$1")" ]; }

# Whether the port listens to the group that is asked for the VIP (solicited-node, ff02::1:ff00:50).
listens() { lab_in gateway ip -6 maddr show dev cl0 | has -w ff02::1:ff00:50; }
is_deaf() { ! listens; }

told() { grep -c "^$1 $mac\$" "$LAB_RUN/log/announcements.log" || true; }
is_told() { [ "$(told "$1")" -ge "$2" ]; }

set_all() {
  local server
  for server in "${LAB_SERVERS[@]}"; do set_endpoint "$server" "$1" "$1" False; done
}

needs_gateway
begin
mac=$(lab_in gateway cat /sys/class/net/cl0/address)
sed -i "s/192\.0\.2\.30/$vip4/; s/2001:db8::30/$vip6/; s|guideway.io/forwarding-mode: nat|&\n    guideway.io/announce: l2|" \
  "$LAB_RUN/manifests/nat.yaml"
ip netns exec "$LAB_PREFIX-client" /usr/bin/python3 -B "$(dirname "$0")/announcements.py" gw0 \
  >"$LAB_RUN/log/announcements.log" 2>&1 &

say "told three times, unasked, when it appears"
lab_start_gateway || fail "the gateway doesn't start"
for vip in $vip4 $vip6; do
  lab_wait_until 5 is_told $vip 3 || fail "$vip was told $(told $vip) times, not 3"
done

say "answered for, and served"
for vip in $vip4 $vip6; do
  equal "who has $vip" "$mac" "$(found $vip)"
  equal "the servers behind $vip" 'web1 web2 web3' "$(servers_behind $vip)"
done
equal "drops of what was asked" null "$(lab_cli status -o json | jq '[.engine.status.drops[]? | select(.reason == "not_announced")][0]')"

listens || fail "the multicast group of $vip6 isn't joined: $(lab_in gateway ip -6 maddr show dev cl0)"

say "the host answers for itself alone"
for own in $LAB_GATEWAY4 $LAB_GATEWAY6; do equal "who has $own" "$mac" "$(found $own)"; done
for nobody in 10.77.1.51 fd77:1::51; do equal "who has $nobody" '' "$(found $nobody)"; done

say "not answered for without a backend"
set_all False
for vip in $vip4 $vip6; do lab_wait_until 10 is_not_found $vip || fail "$vip is still answered for"; done
lab_wait_until 5 is_deaf || fail "the multicast group of $vip6 is still joined"
lab_cli status -o json | jq -e '.engine.status.drops[] | select(.reason == "not_announced")' >/dev/null ||
  fail "what was asked in vain isn't counted"

say "told again with its first backend"
set_endpoint web1 True True False
for vip in $vip4 $vip6; do
  lab_wait_until 10 is_told $vip 6 || fail "$vip was told $(told $vip) times, not 6"
  equal "who has $vip" "$mac" "$(found $vip)"
  equal "the servers behind $vip" web1 "$(servers_behind $vip 10)"
done
listens || fail "the multicast group of $vip6 isn't joined again"

say "while no engine runs the kernel answers, for what was announced"
kill -9 "$(cat "$LAB_RUN/pids/supervisor")" "$(cat "$LAB_RUN/pids/engine")"
for vip in $vip4 $vip6; do lab_wait_until 10 is_found $vip || fail "the kernel doesn't answer for $vip"; done
for nobody in 10.77.1.51 fd77:1::51; do equal "who has $nobody" '' "$(found $nobody)"; done

say "told again when the engine starts, and when a port has come up"
lab_start_engine
for vip in $vip4 $vip6; do lab_wait_until 15 is_told $vip 9 || fail "$vip was told $(told $vip) times, not 9"; done
lab_in gateway ip link set cl0 down
sleep 0.5
lab_in gateway ip link set cl0 up
for vip in $vip4 $vip6; do lab_wait_until 15 is_told $vip 11 || fail "$vip was told $(told $vip) times, not 11"; done
