#!/usr/bin/env bash
# From a changed file to the packet, without a restart and without touching other services; and what a file that is
# wrong does: an error that names its place, while the last good state stays in force, over a restart of the daemon too.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
lab_start_gateway || fail "the gateway doesn't start"
manifests=$LAB_RUN/manifests
ipip=${LAB_VIP4[dsr-ipip]} nat=${LAB_VIP4[nat]}
engine=$(cat "$LAB_RUN/pids/engine")

# `becomes VIP SERVERS`: within a few seconds these servers answer, and no others.
becomes() {
  answer_now() { [ "$(servers_behind "$1" 40)" = "$2" ]; }
  lab_wait_until 5 answer_now "$1" "$2" || fail "$1 should be answered by '$2', and is by '$(servers_behind "$1" 40)'"
}
problems() { lab_cli status -o json | jq -r '.problems | length'; }
# `problem JQ-FIELD`: of the one problem.
problem() { lab_cli status -o json | jq -r ".problems[0].$1"; }
wait_for_problems() {
  count_is() { [ "$(problems)" = "$1" ]; }
  lab_wait_until 5 count_is "$1" || fail "$1 problems expected: $(lab_cli status)"
}

say "a file written in place, while connections to other services stand"
load 4s "$nat"
sed -i '/^  - 10.77.2.11$/,/nodeName: web1/ s/ready: true/ready: false/' "$manifests/dsr-ipip.yaml"
becomes "$ipip" 'web2 web3'
equal "the other family" 'web1 web2 web3' "$(servers_behind "${LAB_VIP6[dsr-ipip]}")"
sed -i '/^  - 10.77.2.11$/,/nodeName: web1/ s/ready: false/ready: true/' "$manifests/dsr-ipip.yaml"
becomes "$ipip" 'web1 web2 web3'
load_ended

say "a mode that changes"
equal "who asks, by dsr-ipip" 10.77.1.2 "$(get "$ipip" /client)"
edit dsr-ipip.yaml "text.replace('forwarding-mode: dsr-ipip', 'forwarding-mode: nat')"
asks_by_nat() { [ "$(get "$ipip" /client)" = $LAB_SNAT4 ]; }
lab_wait_until 5 asks_by_nat || fail "the new mode isn't in force"
edit dsr-ipip.yaml "text.replace('forwarding-mode: nat', 'forwarding-mode: dsr-ipip')"
asks_by_dsr() { [ "$(get "$ipip" /client)" = 10.77.1.2 ]; }
lab_wait_until 5 asks_by_dsr || fail "the mode of before isn't in force again"

say "a field that is wrong, beside an object of the same file that is right"
load 6s "$nat"
cp "$manifests/dsr-ipip.yaml" "$LAB_RUN/good.yaml"
edit dsr-ipip.yaml "text.replace('port: 80\n', 'port: 80000\n', 1).replace('ready: true', 'ready: false', 1)"
wait_for_problems 1
line=$(grep -n 'port: 80000' "$manifests/dsr-ipip.yaml" | cut -d: -f1)
equal "the file" "$manifests/dsr-ipip.yaml" "$(problem file)"
equal "document and line" "1 $line" "$(problem document) $(problem line)"
equal "the field" 'spec.ports[0].port' "$(problem field)"
equal "the object" 'Service lab/dsr-ipip' "$(problem object)"
grep -qE "dsr-ipip.yaml.*$line.*spec.ports\[0\].port" "$LAB_RUN/log/daemon.log" || fail "the log doesn't name the place"
becomes "$ipip" 'web2 web3'  # the Service stays as it was, its EndpointSlice is taken

say "a file that is no YAML"
{ head -n 20 "$LAB_RUN/good.yaml"; printf 'spec: [never\n  ends: {\n'; } >"$LAB_RUN/bad.yaml"
cp "$LAB_RUN/bad.yaml" "$manifests/dsr-ipip.yaml"
broken() { lab_cli status -o json | jq -e '.files[] | select(.path | endswith("dsr-ipip.yaml")) | .broken'; }
lab_wait_until 5 broken || fail "the file isn't shown as broken: $(lab_cli status)"
[ "$(problem line)" -ge 20 ] || fail "its line isn't told: $(lab_cli status)"
equal "its servers, by the last good state" 'web2 web3' "$(servers_behind "$ipip")"
load_ended  # another file's service never noticed

say "the daemon, started again on the broken file"
counter() { lab_cli status -o json | jq -r '.applied.counter'; }
load 5s "$ipip"
kill "$(cat "$LAB_RUN/pids/daemon")"
daemon_gone() { ! lab_cli status; }
lab_wait_until 5 daemon_gone || fail "the daemon doesn't stop"
lab_start_daemon
lab_wait_until 10 lab_engine_tells || fail "the daemon doesn't start on a broken file"
lab_wait_until 5 broken || fail "the file isn't shown as broken after the restart"
equal "VIPs after the restart" 24 "$(lab_cli services -o json | jq '.services | length')"
equal "its servers after the restart" 'web2 web3' "$(servers_behind "$ipip")"
lab_gateway_answers || fail "a service doesn't answer after the restart"
load_ended

say "the file, mended"
cp "$LAB_RUN/good.yaml" "$manifests/dsr-ipip.yaml"
becomes "$ipip" 'web1 web2 web3'
wait_for_problems 0

say "a file deleted, and brought back"
load 5s "$nat"
rm "$manifests/dsr-ipip.yaml"
gone() { ! get "$ipip" / --connect-timeout 0.5; }
lab_wait_until 5 gone || fail "the service of a deleted file still answers"
equal "VIPs that are left" 20 "$(lab_cli services -o json | jq '.services | length')"
cp "$LAB_RUN/good.yaml" "$manifests/.dsr-ipip.yaml.new"
mv "$manifests/.dsr-ipip.yaml.new" "$manifests/dsr-ipip.yaml"
becomes "$ipip" 'web1 web2 web3'
load_ended
equal "the engine's process" "$engine" "$(cat "$LAB_RUN/pids/engine")"
