#!/usr/bin/env bash
# SIGTERM: the engine ends, and the kernel goes on with DSR; `guideway-engine detach` gives everything back (XDP programs,
# pins, hugepages). The host's own traffic is not cut for a moment by any of that. DPDK's ports start, are counted and stop
# as well.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
hugepages() { cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages 2>/dev/null || echo none; }
before=$(hugepages)

detach() { lab_in gateway "$LAB_BUILD/dataplane/guideway-engine" detach --bpffs "${1-$LAB_PINS}" --table-dir "$LAB_TABLES"; }

# `stop SIGNAL`: the engine is asked (its supervisor would start it again), and goes.
stop() {
  local pid
  pid=$(cat "$LAB_RUN/pids/engine")
  kill -9 "$(cat "$LAB_RUN/pids/supervisor")"
  kill "-$1" "$pid"
  engine_gone() { ! grep -q guideway-engine "/proc/$pid/comm"; }
  lab_wait_until 5 engine_gone || fail "the engine doesn't stop on SIG$1: $(tail -n 3 "$LAB_RUN/log/engine.log")"
}

# Then what it left is taken away.
stopped() {
  stop "$1"
  grep 'guideway-engine:' "$LAB_RUN/log/engine.log" | tail -n 1 | has stopping ||
    fail "the engine's last words aren't that it stops"
  [ ! -e "$LAB_RUN/engine.sock" ] || fail "the socket is left after SIG$1"
  load 1s "${LAB_VIP4[dsr-ipip]}"
  load_ended
  refusal=$(detach "$LAB_RUN/nowhere" 2>&1) && fail "pins that aren't there are taken away"
  has 'give the --bpffs that the engine had' <<<"$refusal" || fail "$refusal"
  [ -e "$LAB_TABLES" ] || fail "connections are forgotten while their program goes on"
  detach || fail "what the engine left can't be taken away"
  ! lab_in gateway ip -o link show | grep ' xdp' || fail "an XDP program is left after SIG$1"
  [ ! -e "$LAB_RUN/bpf/guideway" ] || fail "pins are left after SIG$1: $(find "$LAB_RUN/bpf/guideway")"
  [ ! -e "$LAB_TABLES" ] || fail "tables are left after SIG$1: $(find "$LAB_TABLES")"
  given_back() { [ "$(hugepages)" = "$before" ]; }
  lab_wait_until 5 given_back || fail "hugepages are kept after SIG$1: $before before, $(hugepages) now"
}

ip netns exec "$LAB_PREFIX-client" ping -i 0.02 -W 1 $LAB_GATEWAY4 >"$LAB_RUN/log/ping4.log" 2>&1 &
ping4=$!
ip netns exec "$LAB_PREFIX-client" ping -i 0.02 -W 1 $LAB_GATEWAY6 >"$LAB_RUN/log/ping6.log" 2>&1 &
ping6=$!
for signal in TERM INT; do
  say "started, and stopped by SIG$signal"
  lab_start_gateway || fail "the gateway doesn't start"
  load 1s "${LAB_VIP4[nat]}"
  load_ended
  refusal=$(detach 2>&1) && fail "an engine that runs is detached"
  has 'another guideway-engine runs' <<<"$refusal" || fail "$refusal"
  stopped $signal
  lab_stop daemon
done
kill -INT $ping4 $ping6
wait $ping4 $ping6 || true
for log in ping4 ping6; do
  grep -q ' 0% packet loss' "$LAB_RUN/log/$log.log" || fail "pings to the gateway were lost: $(tail -n 3 "$LAB_RUN/log/$log.log")"
done

say "no room for tables: it forwards all the same, and says what that means"
mkdir -p "$LAB_TABLES"
mount -t tmpfs -o size=64m,mode=700 small "$LAB_TABLES"
lab_start_gateway || fail "the engine doesn't start without room for its tables"
lab_gateway_answers || fail "it doesn't forward"
has "connection tables aren't where they should be: half of what is free" <<<"$(lab_cli status)" ||
  fail "status doesn't tell: $(lab_cli status)"
stop TERM
lab_stop daemon
umount "$LAB_TABLES"
detach

say "ports of DPDK beside those of AF_XDP"
lab_start_gateway --port dpdk:net_null0,size=60@02:00:00:00:00:01 --port dpdk:net_ring0@02:00:00:00:00:02 ||
  fail "the engine doesn't start with DPDK's ports"
ports=$(lab_cli status -o json | jq -c '.engine.status.ports | map([.name, .kind, .up])')
equal "the ports" '[["cl0","af_xdp",true],["srv0","af_xdp",true],["net_null0","dpdk",true],["net_ring0","dpdk",true]]' "$ports"
# net_null makes packets out of nothing, all zeros: they are counted, and dropped for what they are.
junk() { [ "$(dropped | jq '.not_ip // 0')" -gt 1000 ]; }
lab_wait_until 5 junk || fail "the packets of net_null aren't dropped with a reason: $(dropped)"
received=$(lab_cli status -o json | jq '[.engine.status.workers[].received | tonumber] | add')
[ "$received" -gt 1000 ] || fail "the packets of net_null aren't counted as received: $received"
equal "reasons of drops" '["not_ip"]' "$(dropped | jq -c keys)"
lab_gateway_answers || fail "traffic doesn't pass beside net_null"
stopped TERM
