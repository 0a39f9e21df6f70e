#!/usr/bin/env bash
# Backends change under connections that stand, and the engine is killed: at once, while its sweep looks for those that
# the change has moved, or after. The kernel goes on, and no connection breaks, whatever the moment was. Nor do those break
# that the kernel has begun, if backends have changed by the time an engine is back. The client has few ports, so each is
# soon a new connection's, of which engine and kernel still know an earlier one.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
lab_in client sysctl -qw net.ipv4.ip_local_port_range='40000 40511' net.ipv4.tcp_tw_reuse=1
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

# Connections that say nothing until they are told to: the servers that answer them then.
silent_connections() {
  lab_in client bash -c '
    for _ in $(seq "$2"); do
      exec {connection}<>"/dev/tcp/$1/80" || exit 1
      connections+=("$connection")
    done
    : >"$3.stand"
    until [ -e "$3.go" ]; do sleep 0.1; done
    for connection in "${connections[@]}"; do
      printf "GET / HTTP/1.0\r\n\r\n" >&"$connection"
      tail -n 1 <&"$connection"
    done' silent_connections "$vip" "$1" "$2"
}

# What is to come between their beginning and their first request, with web3 draining in the end.
begin_without_engine() {
  silent_connections 30 "$LAB_RUN/silent" >"$LAB_RUN/log/silent" &
  silent=$!
  lab_wait_until 10 test -e "$LAB_RUN/silent.stand" || fail "the kernel begins no connections"
  set_endpoint web3 False True True
  wanted='web1 web2'
}
ask_with_engine() {
  lab_wait_until 10 changed || fail "the change doesn't arrive: $(servers_behind "$vip") instead of $wanted"
  sleep 1.5  # and a sweep has looked at it
  touch "$LAB_RUN/silent.go"
  wait $silent || fail "a connection that the kernel has begun broke"
  equal "connections that the kernel has begun, and that are answered" 30 "$(grep -c '^web' "$LAB_RUN/log/silent")"
  equal "by whom" 'web1 web2 web3' "$(sort -u "$LAB_RUN/log/silent" | paste -sd' ')"
  rm "$LAB_RUN/silent.stand" "$LAB_RUN/silent.go"
}

say "no engine: connections that the kernel begins; web3 drains before a worker has seen them"
kill -9 "$(cat "$LAB_RUN/pids/supervisor")" "$(cat "$LAB_RUN/pids/engine")" "$(cat "$LAB_RUN/pids/daemon")"
rm "$LAB_RUN/pids/daemon"
begin_without_engine
LAB_HEARTBEAT=10 lab_start_engine
lab_start_daemon
ask_with_engine
has 'and [1-9][0-9]* that the kernel has begun' <"$LAB_RUN/log/engine.log" ||
  fail "the engine doesn't say what the kernel has begun"

say "the same with an engine that is stopped, and goes on"
set_endpoint web3 True True False
wanted='web1 web2 web3'
lab_wait_until 10 changed || fail "web3 doesn't come back"
kill -STOP "$(cat "$LAB_RUN/pids/engine")"
begin_without_engine
sleep 0.5  # for the daemon, who tells the engine
kill -CONT "$(cat "$LAB_RUN/pids/engine")"
ask_with_engine
! has 'map begun' <"$LAB_RUN/log/engine.log" || fail "the engine can't read what the kernel has begun"
