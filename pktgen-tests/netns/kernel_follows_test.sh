#!/usr/bin/env bash
# Backends change under connections that stand, and the engine is killed: at once, while its sweep looks for those that
# the change has moved, or after. The kernel goes on, and no connection breaks, whatever the moment was.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
lab_start_gateway || fail "the gateway doesn't start"
vip=${LAB_VIP4[dsr-ipip]}

changed() { [ "$(servers_behind "$vip" 30)" = "$wanted" ]; }

drained=False
for pause in 0 0.02 0.05 0.1 0.2 2; do
  load 6 "$vip"
  sleep 1
  if [ $drained = False ]; then
    say "web3 drains, and the engine is killed $pause s later"
    drained=True wanted='web1 web2'
    set_endpoint web3 False True True
  else
    say "web3 is back, and the engine is killed $pause s later"
    drained=False wanted='web1 web2 web3'
    set_endpoint web3 True True False
  fi
  sleep "$pause"
  kill -9 "$(cat "$LAB_RUN/pids/supervisor")" "$(cat "$LAB_RUN/pids/engine")"
  load_ended
  lab_start_engine
  lab_wait_until 10 lab_gateway_answers || fail "the engine doesn't start again"
  lab_wait_until 10 changed || fail "the change doesn't arrive: $(servers_behind "$vip") instead of $wanted"
done
