#!/usr/bin/env bash
# The engine is killed, with no daemon to help: its supervisor starts it again, it forwards from its own snapshot, and a
# DSR connection goes on, as the tables are the same and XDP dropped (didn't pass up) what came in between.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
lab_start_gateway || fail "the gateway doesn't start"
vip=${LAB_VIP4[dsr-ipip]}
checksum=$(lab_big_file | sha256sum)

get "$vip" /slow -m 60 >"$LAB_RUN/download" &
download=$!
sleep 1
kill -9 "$(cat "$LAB_RUN/pids/daemon")"
rm "$LAB_RUN/pids/daemon"

for round in 1 2; do
  first=$(cat "$LAB_RUN/pids/engine")
  kill -9 "$first"
  replaced() { [ -s "$LAB_RUN/pids/engine" ] && [ "$(cat "$LAB_RUN/pids/engine")" != "$first" ]; }
  lab_wait_until 5 replaced || fail "the supervisor starts no new engine"
  lab_wait_until 10 lab_gateway_answers || fail "the new engine doesn't forward from its snapshot"
  say "round $round: all VIPs answer again"
done
equal "the servers afterwards" 'web1 web2 web3' "$(servers_behind "$vip")"
wait $download || fail "a DSR connection broke when the engine was killed"
equal "what it carried" "$checksum" "$(sha256sum <"$LAB_RUN/download")"

lab_start_daemon
lab_wait_until 10 lab_cli status || fail "a new daemon doesn't find the engine"
set_endpoint web3 False False False
gone() { [ "$(servers_behind "$vip")" = 'web1 web2' ]; }
lab_wait_until 10 gone || fail "a new daemon can't change the restarted engine"
