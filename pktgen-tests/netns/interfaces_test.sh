#!/usr/bin/env bash
# Under traffic an interface goes down and comes back, is renamed, disappears; and maps are found that another version has
# pinned. Each is said, by `guideway status` and the log, and what doesn't pass there goes on; the host's own traffic by
# another interface isn't cut for a moment.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
lab_in gateway ip link add spare type veth peer name other
lab_in gateway ip link set spare up
lab_in gateway ip link set other up
lab_start_gateway --port af_xdp:spare || fail "the gateway doesn't start"
engine_log=$LAB_RUN/log/engine.log
vip=${LAB_VIP4[nat]}
warned() { lab_cli status -o json | jq -r '.engine.status.warnings[]? | "\(.subject): \(.text); \(.remedy)"' | grep -F "$1"; }
not_warned() { ! warned "$1"; }
said() { warned "$1" && grep -F "$1" "$engine_log"; }

# By srv0, which stays as it is.
declare -A pings
for address in 10.77.2.1 fd77:2::1; do
  ip netns exec "$LAB_PREFIX-router" ping -i 0.02 -W 1 $address >"$LAB_RUN/log/ping-$address.log" 2>&1 &
  pings[$address]=$!
done

say "renamed: traffic goes on"
load 8s "$vip"
sleep 0.5
lab_in gateway ip link set dev cl0 name outside
renamed='port cl0: its interface is called outside now'
lab_wait_until 5 said "$renamed" || fail "nothing says that cl0 is renamed"
warned "$renamed" | has 'ip link set dev outside name cl0' || fail "no remedy"
get "${LAB_VIP4[dsr-ipip]}" / | has web || fail "nothing passes by a renamed interface"
lab_in gateway ip link set dev outside name cl0
lab_wait_until 5 not_warned "$renamed" || fail "status goes on about it"

say "down, and up again: connections go on"
lab_in gateway ip link set dev cl0 down
lab_wait_until 5 said 'port cl0: its interface is down; ip link set dev cl0 up' || fail "nothing says that cl0 is down"
lab_in gateway ip link set dev cl0 up
lab_wait_until 5 not_warned 'port cl0' || fail "status goes on about it"
lab_wait_until 10 get "$vip" / -o /dev/null || fail "nothing passes once it is up again"
lab_in gateway ip link set dev other down
lab_wait_until 5 warned 'port spare: its interface has no carrier' || fail "nothing says that spare has no carrier"
lab_in gateway ip link set dev other up
lab_wait_until 5 not_warned 'port spare: its interface has no carrier' || fail "status goes on about it"

say "another MAC address: said until it is as it was"
mac=$(lab_in gateway cat /sys/class/net/spare/address)
lab_in gateway ip link set dev spare address 02:00:00:00:77:01
lab_wait_until 5 said 'port spare: its MAC address is 02:00:00:00:77:01 now' || fail "nothing says that spare has another MAC address"
warned 'port spare: its MAC' | has "ip link set dev spare address $mac" || fail "no remedy"
lab_in gateway ip link set dev spare address "$mac"
lab_wait_until 5 not_warned 'port spare: its MAC' || fail "status goes on about it"

say "gone: the others go on, without a request lost"
load_ended
load 3s "$vip"
sleep 0.5
lab_in gateway ip link delete spare
lab_wait_until 5 said 'port spare: its interface is gone' || fail "nothing says that spare is gone"
load_ended
for text in "$renamed" 'port cl0: its interface is down' 'port spare: its interface is gone'; do
  equal "times that the log says '$text'" 1 "$(grep -cF "$text" "$engine_log")"
done
kill -INT "${pings[@]}"
for address in "${!pings[@]}"; do
  wait "${pings[$address]}" || true
  grep ' 0% packet loss' "$LAB_RUN/log/ping-$address.log" ||
    fail "pings to $address were lost: $(tail -n 3 "$LAB_RUN/log/ping-$address.log")"
done

say "maps of another version: said, and not taken for ours"
kill -9 "$(cat "$LAB_RUN/pids/supervisor")" "$(cat "$LAB_RUN/pids/engine")"
rm "$LAB_PINS/cl0/begun" "$LAB_PINS/cl0/drops"
bpftool map create "$LAB_PINS/cl0/begun" type lru_hash key 40 value 16 entries 65536 name begun
bpftool map create "$LAB_PINS/cl0/drops" type percpu_array key 4 value 8 entries 7 name drops
lab_start_engine
lab_wait_until 10 lab_engine_tells || fail "it doesn't start"
warned 'port cl0: what an earlier engine of another version has pinned for cl0' | has 'drops, begun' ||
  fail "status doesn't say which maps are of another version: $(lab_cli status)"
lab_wait_until 10 get "$vip" / -o /dev/null || fail "it doesn't forward"
equal "the shape of what is pinned now" '65536' "$(bpftool -j map show pinned "$LAB_PINS/cl0/begun" | jq .max_entries)"
bpftool -j map show pinned "$LAB_PINS/cl0/begun" | jq -e '.bytes_value == 24' >/dev/null || fail "the old map is still pinned"
warned 'port srv0: what an earlier' && fail "srv0's maps are of this version" || true

say "a pin can't be made: its port waits, not the others"
lab_stop daemon
kill -9 "$(cat "$LAB_RUN/pids/supervisor")" "$(cat "$LAB_RUN/pids/engine")"
rm "$LAB_RUN/engine/snapshot"* "$LAB_PINS/cl0/addresses"
mkdir "$LAB_PINS/cl0/addresses"
lab_start_engine
lab_start_daemon
lab_wait_until 10 said "can't replace the pin $LAB_PINS/cl0/addresses" || fail "nothing says that a map isn't pinned"
lab_wait_until 10 get "$vip" / -o /dev/null || fail "by srv0 the kernel still goes by the earlier engine's state"
rmdir "$LAB_PINS/cl0/addresses"
lab_wait_until 5 not_warned "can't replace the pin" || fail "it isn't tried again"
