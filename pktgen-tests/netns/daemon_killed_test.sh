#!/usr/bin/env bash
# The daemon is killed under load: forwarding goes on. A new one takes over and brings what changed in between.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
lab_start_gateway || fail "the gateway doesn't start"
vip=${LAB_VIP4[dsr-ipip]}
equal "the servers before" 'web1 web2 web3' "$(servers_behind "$vip")"

applied() { lab_cli status -o json | jq -r '.applied.counter // 0 | tonumber'; }
instance() { lab_cli status -o json | jq -r .applied.instance; }
first=$(applied) first_instance=$(instance)
[ "$first" -ge 1 ] || fail "no generation is applied: $first"

say "a second daemon, with another state: it is refused, says so, and changes nothing"
other=$LAB_RUN/other
mkdir -p "$other/manifests"
ip netns exec "$LAB_PREFIX-gateway" "$LAB_BUILD/mgmt/guidewayd" --manifests "$other/manifests" --state-dir "$other/daemon" \
  --engine "$LAB_RUN/engine.sock" --listen "unix:$other/guideway.sock" >"$LAB_RUN/log/other.log" 2>&1 </dev/null &
second=$!
refused() {
  "$LAB_BUILD/mgmt/guideway" --server "unix:$other/guideway.sock" status |
    has "another guidewayd (pid $(cat "$LAB_RUN/pids/daemon")) drives this engine; stop one of the two"
}
lab_wait_until 10 refused || fail "the second daemon doesn't say why it has no engine: $(cat "$LAB_RUN/log/other.log")"
sleep 1  # it has come again some times
refused || fail "the second daemon no longer says why it has no engine"
equal "how often that is logged" 1 "$(grep -c 'drives this engine' "$LAB_RUN/log/other.log")"
equal "the servers beside a second daemon" 'web1 web2 web3' "$(servers_behind "$vip")"
equal "the generation beside a second daemon" "$first" "$(applied)"
kill "$second"
wait "$second" || fail "the second daemon doesn't end well"

load 12s "$vip"
sleep 1
kill -9 "$(cat "$LAB_RUN/pids/daemon")"
rm "$LAB_RUN/pids/daemon"
! lab_cli status >/dev/null 2>&1 || fail "the CLI answers without a daemon"
for mode in dsr-l2 dsr-ipip nat; do
  for address in "${LAB_VIP4[$mode]}" "${LAB_VIP6[$mode]}"; do
    get "$address" >/dev/null || fail "$address doesn't answer while there is no daemon"
  done
done

set_endpoint web1 False True True
equal "the servers while there is no daemon" 'web1 web2 web3' "$(servers_behind "$vip")"
lab_start_daemon
lab_wait_until 10 lab_cli status || fail "the new daemon doesn't answer"
drained() { [ "$(servers_behind "$vip")" = 'web2 web3' ]; }
lab_wait_until 10 drained || fail "the new daemon doesn't bring the drain of web1: $(servers_behind "$vip")"
[ "$(applied)" -gt "$first" ] || fail "generations don't go on: $first before, $(applied) now"
[ "$(instance)" != "$first_instance" ] || fail "the new daemon says that it is the old one"
load_ended  # not one request was lost on the way, those on connections to web1 included

set_endpoint web1 True True False
returned() { [ "$(servers_behind "$vip")" = 'web1 web2 web3' ]; }
lab_wait_until 10 returned || fail "web1 isn't back"
