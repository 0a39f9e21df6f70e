#!/usr/bin/env bash
# What keeps the engine from starting is said in one sentence, with its remedy; the exit code tells it, and nothing is
# left behind.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
engine=$LAB_BUILD/dataplane/guideway-engine
foreign=$LAB_BUILD/pktgen-tests/decap/decap.bpf.o
places=(--socket "$LAB_RUN/engine.sock" --state-dir "$LAB_RUN/engine" --bpffs "$LAB_RUN/bpf/guideway" --table-dir "$LAB_TABLES")

xdp_programs() { lab_in gateway ip -o link show | grep -c ' xdp' || true; }
engines() { pgrep -c -x guideway-engine --ns "$(gateway_process)" --nslist net || true; }
gateway_process() { ip netns pids "$LAB_PREFIX-gateway" | head -n 1; }

# `refused CODE WHAT PATTERN COMMAND...`: it ends soon with this code and one line of error, which matches and has a
# remedy.
refused() {
  local expected=$1 what=$2 pattern=$3 code=0 log=$LAB_RUN/log/refused.log before
  shift 3
  before=$(xdp_programs),$(engines)
  lab_in gateway timeout -k 2 20 "$@" --log-format json >"$log" 2>&1 </dev/null || code=$?
  say "$what: code $code: $(tail -n 1 "$log" | jq -r .message)"
  equal "$what: the exit code" "$expected" "$code"
  tail -n 1 "$log" | jq -r .message | has -iE -e "$pattern" ||
    fail "$what: its last line doesn't say '$pattern': $(cat "$log")"
  tail -n 1 "$log" | jq -e '.remedy != null' >/dev/null || fail "$what: it has no remedy: $(cat "$log")"
  [ "$(grep -cE '"level":"error"|^EAL:' "$log")" = 1 ] ||
    fail "$what: not exactly one sentence of error: $(cat "$log")"
  equal "$what: XDP programs and engines" "$before" "$(xdp_programs),$(engines)"
  [ -n "${keeps_running:-}" ] && return 0
  [ ! -e "$LAB_RUN/engine.sock" ] || fail "$what: the socket is left behind"
  [ ! -e "$LAB_RUN/bpf/guideway" ] || fail "$what: pins are left: $(find "$LAB_RUN/bpf/guideway")"
}

# What CLI11 refuses is said in its words, on two lines.
refused_words() {
  local what=$1 pattern=$2 code=0 log=$LAB_RUN/log/refused.log
  shift 2
  lab_in gateway timeout -k 2 20 "$@" >"$log" 2>&1 </dev/null || code=$?
  say "$what: code $code: $(head -n 1 "$log")"
  equal "$what: the exit code" 2 "$code"
  grep -qiE -e "$pattern" "$log" || fail "$what: nothing says '$pattern': $(cat "$log")"
}

lab_in gateway ip link add big0 mtu 9000 type veth peer name big1 mtu 9000
lab_in gateway ip link add two0 numrxqueues 2 numtxqueues 2 type veth peer name two1 numrxqueues 2 numtxqueues 2
lab_in gateway ip link add four0 numrxqueues 4 numtxqueues 4 type bridge  # its queues can't be changed
lab_in gateway ip link add down0 type veth peer name down1
for link in big0 big1 two0 two1 four0; do lab_in gateway ip link set $link up; done

for words in "" "--port" "--port af_xdp:cl0 --workers none" "--port af_xdp:cl0 --workers 0" "--port af_xdp:cl0 --nosuch" \
  "--port af_xdp:cl0 --log-level loud" "--port af_xdp:cl0 --cores a,b" "--port af_xdp:cl0 --cores 0 --workers 1" \
  "--port af_xdp:cl0 --connections 1"; do
  # shellcheck disable=SC2086
  refused_words "the words '$words'" '--port|--workers|--nosuch|--log-level|--cores|--connections' "$engine" $words
done
refused 2 "a core that doesn't exist" 'core 4095.*nproc' "$engine" --port af_xdp:cl0 --cores 4095 "${places[@]}"
refused 2 "a core named twice" 'twice' "$engine" --port af_xdp:cl0 --cores 0,0 "${places[@]}"
refused 2 "more cores than workers" '17 cores.*at most 16.*fewer' \
  "$engine" --port af_xdp:cl0 --cores "$(seq -s, 0 16)" "${places[@]}"
workers=$(($(nproc) + 1))
[ $workers -gt 16 ] ||
  refused 2 "more workers than cores" "--workers $workers.*lower" "$engine" --port af_xdp:cl0 --workers $workers "${places[@]}"
for word in nonsense cl0 af_xdp: af_xdp:cl0:0 af_xdp:cl0:many dpdk:net_null0 dpdk:net_null0@02:00 dpdk:@02:00:00:00:00:01; do
  refused 2 "the port '$word'" "--port $word: .*; give af_xdp:IFNAME" "$engine" --port af_xdp:srv0 --port "$word" "${places[@]}"
done
refused 2 "a port named twice" 'cl0 again' "$engine" --port af_xdp:cl0 --port af_xdp:cl0:1 "${places[@]}"

refused 1 "no privilege" 'CAP_NET_ADMIN.*root' \
  setpriv --inh-caps=-all --ambient-caps=-all --bounding-set=-all "$engine" --port af_xdp:cl0 "${places[@]}"
refused 1 "one privilege missing" 'CAP_BPF.*root' \
  setpriv --inh-caps=-sys_admin,-bpf --bounding-set=-sys_admin,-bpf "$engine" --port af_xdp:cl0 "${places[@]}"
refused 1 "the privilege to drop privileges missing" 'CAP_SETPCAP.*root' \
  setpriv --inh-caps=-setpcap --bounding-set=-setpcap "$engine" --port af_xdp:cl0 "${places[@]}"
mkdir -p "$LAB_RUN/others" && chown nobody "$LAB_RUN/others"
refused 1 "a state directory of another user" 'others.*chown root' "$engine" --port af_xdp:cl0 --socket "$LAB_RUN/engine.sock" \
  --state-dir "$LAB_RUN/others" --table-dir "$LAB_TABLES" --bpffs "$LAB_RUN/bpf/guideway"
refused 1 "an unknown interface" 'nosuch0.*ip link' "$engine" --port af_xdp:nosuch0 "${places[@]}"
refused 1 "one good port, one unknown" 'nosuch0.*ip link' "$engine" --port af_xdp:cl0 --port af_xdp:nosuch0 "${places[@]}"
refused 1 "an interface that is down" 'ip link set dev down0 up' "$engine" --port af_xdp:down0 "${places[@]}"
refused 1 "an MTU too large" 'big0.*MTU.*ip link set dev big0 mtu' "$engine" --port af_xdp:big0 "${places[@]}"
refused 1 "more queues than there are" 'two0 can have at most 2.*fewer' "$engine" --port af_xdp:two0:9 "${places[@]}"
refused 1 "queues that would be without a socket" 'four0 can.t be set to 1 .*ethtool -L' \
  "$engine" --port af_xdp:four0:1 "${places[@]}"
refused 1 "no BPF file system" 'mount -t bpf' \
  "$engine" --port af_xdp:cl0 --socket "$LAB_RUN/engine.sock" --state-dir "$LAB_RUN/engine" --table-dir "$LAB_TABLES" --bpffs "$LAB_RUN/nosuch"
refused 1 "a state directory that can't be" 'state-dir' \
  "$engine" --port af_xdp:cl0 --socket "$LAB_RUN/engine.sock" --state-dir /proc/nosuch --table-dir "$LAB_TABLES" --bpffs "$LAB_RUN/bpf/guideway"
refused 1 "a socket that can't be" 'nosuch.*--socket' \
  "$engine" --port af_xdp:cl0 --socket /proc/nosuch/engine.sock --state-dir "$LAB_RUN/engine" --table-dir "$LAB_TABLES" --bpffs "$LAB_RUN/bpf/guideway"
refused 1 "a file in the socket's place" 'is there and no socket' \
  "$engine" --port af_xdp:cl0 --socket "$LAB_RUN/ssh/host_key" --state-dir "$LAB_RUN/engine" --table-dir "$LAB_TABLES" --bpffs "$LAB_RUN/bpf/guideway"
[ -s "$LAB_RUN/ssh/host_key" ] || fail "a file of somebody's was removed for the socket"
refused 1 "a DPDK device that can't be" 'net_nosuch0.*net_memif0' \
  "$engine" --port af_xdp:cl0 --port dpdk:net_nosuch0@02:00:00:00:00:01 "${places[@]}"

lab_in gateway ip link set dev cl0 xdpdrv object "$foreign" section xdp
refused 1 "a foreign XDP program" 'cl0.*XDP.*ip link set dev cl0 xdp' "$engine" --port af_xdp:cl0 "${places[@]}"
refused 1 "one good port, one with a foreign program" 'cl0.*XDP' \
  "$engine" --port af_xdp:srv0 --port af_xdp:cl0 "${places[@]}"
lab_in gateway ip -o link show cl0 | has ' xdp' || fail "the foreign program was taken away"
lab_in gateway ip link set dev cl0 xdpdrv off

lab_start_gateway || fail "the engine doesn't start after all that"
keeps_running=yes
ports=(--port af_xdp:cl0 --port af_xdp:srv0 --yield)
other=(--socket "$LAB_RUN/other.sock" --state-dir "$LAB_RUN/other" --table-dir "$LAB_RUN/tables/other")
refused 1 "a second engine" 'another guideway-engine runs' "$engine" "${ports[@]}" "${places[@]}"
refused 1 "a second engine with only its tables the same" 'another guideway-engine runs.*tables/guideway' \
  "$engine" "${ports[@]}" "${other[@]:0:4}" --table-dir "$LAB_TABLES" --bpffs "$LAB_RUN/bpf/other"
refused 1 "a second engine with a state directory of its own" 'another guideway-engine runs' \
  "$engine" "${ports[@]}" "${other[@]}" --bpffs "$LAB_RUN/bpf/guideway"
refused 1 "a second engine with pins of its own" 'cl0.*XDP' "$engine" "${ports[@]}" "${other[@]}" --bpffs "$LAB_RUN/bpf/other"
[ ! -e "$LAB_RUN/other.sock" ] || fail "a second engine left its socket"
[ ! -e "$LAB_RUN/bpf/other" ] || fail "a second engine left its pins"
refused 1 "a second engine at the same socket" 'engine.sock' "$engine" --port af_xdp:two0 --yield \
  --socket "$LAB_RUN/engine.sock" --state-dir "$LAB_RUN/other" --table-dir "$LAB_RUN/tables/other" --bpffs "$LAB_RUN/bpf/other"
[ -S "$LAB_RUN/engine.sock" ] && lab_cli status -o json | has '"connected": *true' || fail "its socket was taken away"
lab_gateway_answers || fail "the second engine harmed the first"
