#!/bin/bash
# The af_xdp port between two networks, with nothing but a forwarder on it.
#
#   gw-xdp-client            gw-xdp-gateway              gw-xdp-server
#   c0 10.77.1.2  ---------  a0 10.77.1.1
#                            b0 10.77.2.1  ------------  s0 10.77.2.2
#                                                        lo 10.77.9.9 (the VIP)
#
# Steered to the forwarder: the VIP and 10.77.1.2, everything else is the gateway's host. Needs root; 77 without.
set -euo pipefail
build=${LAB_BUILD:-$(dirname "$0")/../../build}
forward=$build/pktgen-tests/netns/af_xdp_forward
xdp_object=$build/xdp/steer.bpf.o  # some program, as a foreign one
[ "$(id -u)" = 0 ] || { echo "skipped: network namespaces need root"; exit 77; }

vip=10.77.9.9
work=$(mktemp -d)
bpffs=$work/bpf/guideway
namespaces="gw-xdp-client gw-xdp-gateway gw-xdp-server"
forwarder=
privilege=() # a command that takes some away
others=()

clean_up() {
  [ -z "$forwarder" ] || kill -9 "$forwarder" 2>/dev/null || true
  for p in "${others[@]}"; do kill -9 "$p" 2>/dev/null || true; done
  wait 2>/dev/null || true
  for n in $namespaces; do ip netns del $n 2>/dev/null || true; done
  umount "$work/bpf" 2>/dev/null || true
  rm -rf "$work"
}
trap clean_up EXIT
fail() { echo "FAILED: $*"; [ ! -s "$work/out" ] || cat "$work/out"; exit 1; }
passed() { echo "ok: $*"; }
client() { ip netns exec gw-xdp-client "$@"; }
gateway() { ip netns exec gw-xdp-gateway "$@"; }
server() { ip netns exec gw-xdp-server "$@"; }
mac_of() { ip -n "$1" -br link show dev "$2" | awk '{print $3}'; }
value() { sed -n "s/^$1=//p" "$work/out"; }
no_ports() { server awk '/^Udp:/ { if (!n) { for (i = 1; i <= NF; i++) if ($i == "NoPorts") n = i } else print $n }' /proc/net/snmp; }

topology() {
  for n in $namespaces; do ip netns add $n; ip -n $n link set lo up; done
  ip -n gw-xdp-gateway link add a0 numrxqueues 2 numtxqueues 2 type veth peer name c0 netns gw-xdp-client
  ip -n gw-xdp-gateway link add b0 numrxqueues 2 numtxqueues 2 type veth peer name s0 netns gw-xdp-server
  while read -r namespace interface address; do
    ip netns exec "$namespace" ethtool -K "$interface" tx off tso off gso off >/dev/null
    ip -n "$namespace" addr add "$address" dev "$interface"
    ip -n "$namespace" link set "$interface" up
  done <<END
gw-xdp-client c0 10.77.1.2/24
gw-xdp-gateway a0 10.77.1.1/24
gw-xdp-gateway b0 10.77.2.1/24
gw-xdp-server s0 10.77.2.2/24
END
  ip -n gw-xdp-server addr add $vip/32 dev lo
  ip -n gw-xdp-client route add $vip via 10.77.1.1
  ip -n gw-xdp-client route add 10.77.2.0/24 via 10.77.1.1
  ip -n gw-xdp-server route add 10.77.1.0/24 via 10.77.2.1
  # One queue each to begin with; veth's driver mode wants no fewer receive queues than its peer has for sending.
  for i in c0:client a0:gateway b0:gateway s0:server; do
    ip netns exec gw-xdp-${i#*:} ethtool -L ${i%:*} rx 1 tx 1
  done
  mkdir "$work/bpf"
  mount -t bpf none "$work/bpf"
}

launch() {  # [interface a] [interface b]
  : >"$work/out"
  # Not `ip netns exec`: $! is then the forwarder itself, and it sees the bpffs of this script.
  nsenter --net=/run/netns/gw-xdp-gateway "${privilege[@]}" "$forward" "$bpffs" "${1:-a0}" "$(mac_of gw-xdp-client c0)" \
    "${2:-b0}" "$(mac_of gw-xdp-server s0)" $vip 10.77.1.2 >"$work/out" 2>&1 &
  forwarder=$!
}
start() {
  launch "$@"
  for _ in $(seq 100); do
    grep -q '^ready' "$work/out" && return
    kill -0 $forwarder 2>/dev/null || break
    sleep 0.05
  done
  fail "the forwarder didn't start"
}
stop() {
  kill -TERM $forwarder
  wait $forwarder || fail "the forwarder stopped with exit code $?"
  forwarder=
  [ "$(value free_before)" = "$(value free_after)" ] || fail "frames are lost"
  [ "$(value a.unsendable)$(value b.unsendable)$(value a.no_frames)$(value b.no_frames)" = 0000 ] ||
    fail "packets that couldn't be sent, or no frames"
  [ ! -e "$bpffs" ] || fail "pins are left behind"
  ip -n gw-xdp-gateway -d link show | grep prog/xdp >/dev/null && fail "a program is left behind"
  return 0
}
refused() {  # expected words; then the forwarder's interfaces
  local words=$1
  shift
  launch "$@"
  local code=0
  wait $forwarder || code=$?
  forwarder=
  [ $code = 1 ] || fail "exit code $code instead of 1"
  grep -q "$words" "$work/out" || fail "no word of: $words"
  [ "$(grep -vc ^warning "$work/out")" = 1 ] || fail "more than a sentence"
  [ ! -e "$bpffs" ] || fail "pins are left behind"
  sed 's/^/    /' "$work/out"
}

send_udp() {  # count; 500 packets, then a short pause, so that a burst fits into the rings
  client python3 - "$1" $vip <<'END'
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
start = time.monotonic()
for i in range(int(sys.argv[1])):
    s.sendto(b"x" * (18 + i % 1400), (sys.argv[2], 9))
    if i % 500 == 499:
        time.sleep(0.003)
print("    sent in %.2f s" % (time.monotonic() - start))
END
}
udp_arrives() {  # count
  local before after
  before=$(no_ports)
  send_udp "$1"
  for _ in $(seq 40); do
    after=$(no_ports)
    [ $((after - before)) -ge "$1" ] && break
    sleep 0.05
  done
  [ $((after - before)) = "$1" ] || fail "$((after - before)) of $1 packets arrived"
}

serve_tcp() {  # namespace; answers each connection with what it sent
  ip netns exec "$1" python3 -c '
import socketserver
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while got := self.request.recv(65536): self.request.sendall(got)
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("", 7), Echo).serve_forever()' &
  others+=($!)
}
tcp_echo() {  # address; 2 MB there and back
  client timeout 20 python3 - "$1" <<'END'
import os, socket, sys, threading
sent = os.urandom(2 << 20)
for attempt in range(50):
    try:
        s = socket.create_connection((sys.argv[1], 7), timeout=10)
        break
    except ConnectionRefusedError:
        __import__("time").sleep(0.1)
def send():
    s.sendall(sent)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=send).start()
got = b""
while part := s.recv(65536): got += part
sys.exit(got != sent)
END
}

topology
serve_tcp gw-xdp-server
serve_tcp gw-xdp-gateway

start
udp_arrives 100000
tcp_echo $vip || fail "TCP through the forwarder"
client ping -q -c 3 -i 0.01 10.77.1.1 >/dev/null || fail "ping to the gateway's own address"
client ping -q -c 3 -i 0.01 10.77.2.1 >/dev/null || fail "ping to the gateway's other address"
tcp_echo 10.77.1.1 || fail "TCP to the gateway itself"
stop
[ "$(value a.mode)$(value b.mode)" = driverdriver ] || fail "veth without driver mode"
[ "$(value a.received)" -ge 100000 ] && [ "$(value b.received)" -gt 0 ] || fail "packets took another way"
passed "100,000 UDP packets and TCP both ways in driver mode, no frame lost; the host's ping and TCP go on"
sed 's/^/    /' "$work/out"

start a0:2 b0:2
udp_arrives 2000
[ "$(gateway ethtool -l a0 | awk '/^RX:/ { n = $2 } END { print n }')" = 2 ] || fail "a0 wasn't set to 2 queues"
stop
[ "$(value a.queues)" = 2 ] || fail "not a socket for each queue"
passed "the number of queues that was asked for"
refused "a0 can have at most 2 receive queues" a0:9
gateway ethtool -L a0 rx 1 tx 1
gateway ethtool -L b0 rx 1 tx 1

start
udp_arrives 1000
for round in 1 2 3; do
  kill -9 $forwarder
  { wait $forwarder || true; } 2>/dev/null
  if [ $round = 1 ]; then
    client ping -q -c 5 -i 0.01 -W 1 $vip >/dev/null && fail "the VIP answers without a forwarder"
    client ping -q -c 1 10.77.1.1 >/dev/null || fail "ping to the gateway without a forwarder"
  fi
  start
  udp_arrives 1000
done
first=$forwarder
others+=("$first")
launch
code=0
wait $forwarder || code=$?
[ $code = 1 ] && grep -q "queue 0 of a0: another socket has it" "$work/out" || fail "a second one isn't refused"
sed 's/^/    /' "$work/out"
udp_arrives 1000 # by the first one, whose program was updated meanwhile
{ kill -9 "$first"; wait "$first" || true; } 2>/dev/null
start
udp_arrives 1000
stop
[ "$(value a.adopted)" = 1 ] || fail "the pinned program wasn't adopted"
[ "$(value a.dropped)" -ge 5 ] || fail "what came while there was no forwarder isn't counted"
passed "killed and started again at once; what came meanwhile was dropped and counted; a second one is refused"

for interface in c0:client a0:gateway b0:gateway s0:server; do
  ip -n gw-xdp-${interface#*:} link set ${interface%:*} mtu 3600
done
start
udp_arrives 10000
tcp_echo $vip || fail "TCP through the forwarder in generic mode"
grep -q "^warning: a0 runs XDP in generic mode" "$work/out" || fail "no word of generic mode"
stop
[ "$(value a.mode)" = generic ] || fail "driver mode with an MTU that veth's driver refuses"
passed "generic mode where the driver refuses, and it is said"

for interface in c0:client a0:gateway s0:server; do
  ip -n gw-xdp-${interface#*:} link set ${interface%:*} mtu 1500
done
gateway ip link set b0 mtu 9000
refused "b0 has an MTU of 9000, more than the 3630 that fit"
gateway ip link set b0 mtu 1500
refused "there is no interface nonesuch" a0 nonesuch
ip -n gw-xdp-gateway link set b0 down
refused "b0 is down" a0 b0
ip -n gw-xdp-gateway link set b0 up
bpftool prog load "$xdp_object" "$work/bpf/foreign"
nsenter --net=/run/netns/gw-xdp-gateway bpftool net attach xdpdrv pinned "$work/bpf/foreign" dev b0
refused "b0 already runs XDP program [0-9]* (gw_steer)"
nsenter --net=/run/netns/gw-xdp-gateway bpftool net detach xdpdrv dev b0
privilege=(setpriv --inh-caps -all --bounding-set -all)
refused "isn't permitted: it needs CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON"
privilege[-1]+=,+net_admin,+bpf,+perfmon
refused "queue 0 of a0: the engine needs CAP_NET_RAW"
privilege[-1]+=,+net_raw,+ipc_lock
start
udp_arrives 1000
stop
passed "bad interfaces and missing privilege are refused in a sentence, with nothing left behind"
