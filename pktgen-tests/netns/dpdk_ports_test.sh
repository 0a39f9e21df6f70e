#!/usr/bin/env bash
# DPDK's pcap and memif ports, without an interface of the kernel: clients' packets come from a file, and what the engine
# makes of them goes to a file; by its pcap port first, then by a memif to another process that has the files.
. "$(dirname "$0")/prologue.sh"

needs_gateway
here=$(dirname "$0")
run=$(mktemp -d /tmp/guideway-dpdk-ports.XXXXXX)
space=$LAB_PREFIX-dpdk
next_hop=02:00:00:00:00:fe
ip netns add "$space"

clean() {
  local code=$? pids
  trap - EXIT INT TERM
  [ $code = 0 ] || tail -n 15 "$run"/*.log
  pids=$(ip netns pids "$space")
  # shellcheck disable=SC2086
  [ -z "$pids" ] || kill -9 $pids
  ip netns delete "$space"
  rm -rf "$run"
  exit $code
}
trap clean EXIT
trap 'exit 130' INT TERM

mkdir "$run/manifests"
cat >"$run/manifests/all.yaml" <<YAML
apiVersion: guideway.io/v1alpha1
kind: GatewayConfig
metadata: {name: gateway}
spec: {hashSeed: 7, encapsulation: {sourceIPv4: 198.51.100.1}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: lab, annotations: {guideway.io/forwarding-mode: dsr-ipip}}
spec:
  type: LoadBalancer
  loadBalancerClass: guideway.io/gateway
  ports: [{name: http, port: 80, protocol: TCP, targetPort: 80}]
status: {loadBalancer: {ingress: [{ip: 192.0.2.20}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: lab, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.1.0.1], conditions: {ready: true}}, {addresses: [10.1.0.2], conditions: {ready: true}}]
ports: [{name: http, port: 80, protocol: TCP}]
YAML

start_engine() {  # DEVARGS [WORKERS]
  ip netns exec "$space" "$LAB_BUILD/dataplane/guideway-engine" --port "$1@$next_hop" --workers "${2:-1}" --no-huge --yield \
    --socket "$run/engine.sock" --state-dir "$run/engine" --table-dir "$run/tables" >>"$run/engine.log" 2>&1 </dev/null &
  engine=$!
}
end_engine() {
  kill "$engine"
  wait "$engine" || fail "the engine ended with code $?"
}
cli() { "$LAB_BUILD/mgmt/guideway" --server "unix:$run/guideway.sock" "$@"; }
in_force() { [ "$(cli status -o json | jq -r '.engine.status.services')" = 1 ] && [ -s "$run/engine/snapshot" ]; }
packets_in() { [ "$(stat -c %s "$1")" -ge "$2" ]; }

came_back() { [ "$(tail -n 1 "$run/bridge.log")" = 10 ]; }

say "the daemon's state is saved, so that it is in force before the first packet"
start_engine dpdk:net_null0
ip netns exec "$space" "$LAB_BUILD/mgmt/guidewayd" --manifests "$run/manifests" --state-dir "$run/daemon" \
  --engine "$run/engine.sock" --listen "unix:$run/guideway.sock" >>"$run/daemon.log" 2>&1 </dev/null &
daemon=$!
lab_wait_until 20 in_force || fail "the state doesn't come into force: $(cli status)"
kill $daemon
end_engine

# 10 packets of 54 bytes with an outer header, and what pcap puts before each and before all.
size=$((24 + 10 * (16 + 54 + 20)))
/usr/bin/python3 -B "$here/packet_files.py" write "$run/in.pcap" 192.0.2.20
checked() {
  lab_wait_until 20 packets_in "$1" $size || say "not all came: $(stat -c %s "$1") bytes"
  /usr/bin/python3 -B "$here/packet_files.py" check "$run/in.pcap" "$1" $next_hop 198.51.100.1 10.1.0.1 10.1.0.2
}

say "pcap"
start_engine "dpdk:net_pcap0,rx_pcap=$run/in.pcap,tx_pcap=$run/out.pcap"
lab_wait_until 10 test -e "$run/out.pcap" || fail "the engine opens no file"
sleep 1
end_engine
checked "$run/out.pcap"

# The far end has one pair of rings, however many workers there are here.
for workers in 1 2; do
  [ $workers -le "$(nproc)" ] || continue
  say "memif, $workers worker(s)"
  start_engine "dpdk:net_memif0,role=server,socket=$run/memif.sock,socket-abstract=no" $workers
  lab_wait_until 10 test -S "$run/memif.sock" || fail "the engine's memif makes no socket"
  out=$run/memif$workers.pcap
  ip netns exec "$space" "$LAB_BUILD/pktgen-tests/netns/dpdk_bridge" \
    "net_pcap0,rx_pcap=$run/in.pcap,tx_pcap=$out" \
    "net_memif0,role=client,socket=$run/memif.sock,socket-abstract=no" >"$run/bridge.log" 2>&1 </dev/null &
  bridge=$!
  lab_wait_until 30 came_back || say "not all came back: $(tail -n 1 "$run/bridge.log")"
  equal "queues of the memif" 1 "$(sed -n 's/.*port net_memif0: \([0-9]*\) queue.*/\1/p' "$run/engine.log" | tail -n 1)"
  kill $bridge
  wait $bridge || fail "dpdk_bridge ended with code $?"
  checked "$out"
  end_engine
done
