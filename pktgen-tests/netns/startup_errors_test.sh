#!/usr/bin/env bash
# What keeps the engine from starting is said in one sentence; the exit code tells it, and nothing is left behind.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
engine=$LAB_BUILD/dataplane/guideway-engine
foreign=$LAB_BUILD/pktgen-tests/decap/decap.bpf.o
places=(--socket "$LAB_RUN/engine.sock" --state-dir "$LAB_RUN/engine" --bpffs "$LAB_RUN/bpf/guideway")

xdp_programs() { lab_in gateway ip -o link show | grep -c ' xdp' || true; }

# `refused WHAT PATTERN COMMAND...`: it ends soon with a code of ours and a line that matches.
refused() {
  local what=$1 pattern=$2 code=0 log=$LAB_RUN/log/refused.log programs
  programs=$(xdp_programs)
  shift 2
  lab_in gateway timeout -k 2 20 "$@" >"$log" 2>&1 </dev/null || code=$?
  say "$what: code $code: $(tail -n 1 "$log")"
  [ $code = 1 ] || [ $code = 2 ] || fail "$what: the exit code is $code: $(cat "$log")"
  grep -qiE -e "$pattern" "$log" || fail "$what: nothing says '$pattern': $(cat "$log")"
  [ "$(grep -ciE 'error|critical' "$log")" -le 1 ] || fail "$what: more than one sentence of error: $(cat "$log")"
  equal "$what: XDP programs" "$programs" "$(xdp_programs)"
  [ -n "${keeps_running:-}" ] && return 0
  [ ! -e "$LAB_RUN/engine.sock" ] || fail "$what: the socket is left behind"
  [ -z "$(find "$LAB_RUN/bpf" -mindepth 1 -not -type d)" ] || fail "$what: pins are left: $(find "$LAB_RUN/bpf")"
}

lab_in gateway ip link add big0 mtu 9000 type veth peer name big1 mtu 9000
lab_in gateway ip link add two0 numrxqueues 2 numtxqueues 2 type veth peer name two1 numrxqueues 2 numtxqueues 2
for link in big0 big1 two0 two1; do lab_in gateway ip link set $link up; done

refused "no privilege" 'privilege|permi|CAP_|root' \
  setpriv --inh-caps=-all --ambient-caps=-all --bounding-set=-all "$engine" --port af_xdp:cl0 "${places[@]}"
refused "an unknown interface" nosuch0 "$engine" --port af_xdp:nosuch0 "${places[@]}"
refused "one good port, one unknown" nosuch0 "$engine" --port af_xdp:cl0 --port af_xdp:nosuch0 "${places[@]}"
refused "a core that doesn't exist" 'core.*4095|4095.*core' "$engine" --port af_xdp:cl0 --cores 4095 "${places[@]}"
refused "an MTU too large" 'big0.*MTU|MTU.*big0' "$engine" --port af_xdp:big0 "${places[@]}"
refused "more queues than there are" 'two0.*queue|queue.*two0' "$engine" --port af_xdp:two0:9 "${places[@]}"
refused "a port that can't be read" 'nonsense' "$engine" --port nonsense "${places[@]}"

lab_in gateway ip link set dev cl0 xdpdrv object "$foreign" section xdp
refused "a foreign XDP program" 'cl0.*XDP|XDP.*cl0' "$engine" --port af_xdp:cl0 "${places[@]}"
lab_in gateway ip link set dev cl0 xdpdrv off

lab_start_gateway || fail "the engine doesn't start after all that"
keeps_running=yes
refused "a second engine" 'running|already|second|another|in use' \
  "$engine" --port af_xdp:cl0 --port af_xdp:srv0 --yield "${places[@]}"
lab_gateway_answers || fail "the second engine harmed the first"
