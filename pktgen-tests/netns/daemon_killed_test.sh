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
