#!/usr/bin/env bash
# `guideway doctor` on a gateway that is well, and on one with which something is wrong: what it says, and its exit code.
. "$(dirname "$0")/prologue.sh"

LAB_QUEUES=2
needs_gateway
begin
# One of two, until the engine runs; XDP needs as many as the other end sends by.
lab_in router ethtool -L gateway rx 1 tx 1
lab_in gateway ethtool -L srv0 rx 1 tx 1
lab_start_gateway --workers 2 || fail "the gateway doesn't start"
doctor() { lab_in gateway "$LAB_BUILD/mgmt/guideway" --server "unix:$LAB_HOME/guideway.sock" doctor "$@"; }
# `finds SEVERITY SUBJECT PATTERN`: one such finding.
finds() {
  { doctor -o json || true; } | jq -e --arg severity "$1" --arg subject "$2" --arg text "$3" \
    '[.findings[] | select(.severity == $severity and .subject == $subject and (.text | test($text)))] | length == 1' >/dev/null
}

# The one remedy whose finding has this text.
remedy_of() {
  { doctor -o json || true; } | jq -er --arg text "$1" '[.findings[] | select(.text | test($text)) | .remedy] | if length == 1 then .[0] else empty end'
}
# `mends PATTERN`: the remedy, pasted as it is, and the finding is gone.
mends() {
  local remedy
  remedy=$(remedy_of "$1") || fail "not one finding has '$1': $(doctor)"
  lab_in gateway sh -ec "$remedy" >/dev/null || fail "the remedy can't be pasted: $remedy"
  lab_wait_until 5 gone "$1" || fail "still, after the remedy '$remedy': $(doctor)"
}
gone() { ! remedy_of "$1" >/dev/null; }
feature() { lab_in gateway ethtool -k srv0 | awk -v name="$1:" '$1 == name { print $2 }'; }
# In use; a veth's are under "RX".
receive_queues() { lab_in gateway ethtool -l srv0 | awk '/^RX:/ { n = $2 } END { print n }'; }

said=$(doctor) || fail "something is wrong with a gateway that is well: $said"
! has ^problem <<<"$said" || fail "a problem, and exit code 0: $said"
finds fine engine connected || fail "the engine isn't found: $said"
finds fine privileges needs || fail "the engine's privileges aren't found: $said"
finds fine VIPs none || fail "VIPs aren't looked for among the host's addresses: $said"
gone 'checksums and segments' || fail "the lab's links leave nothing to a NIC: $said"
! has ^.*encapsulation <<<"$said" || fail "srv0 has room for encapsulation: $said"

vip=${LAB_VIP4[nat]}
say "a VIP is an address of the host"
lab_in gateway ip address add "$vip/28" dev lo
! doctor >/dev/null || fail "exit code 0, and a VIP is an address of the host"
finds problem "VIP $vip" 'address of lo' || fail "$(doctor)"
mends 'address of lo'
doctor >/dev/null || fail "exit code 1 after the remedy: $(doctor)"

say "the reverse-path filter is strict"
lab_in gateway sysctl -qw net.ipv4.conf.srv0.rp_filter=1
finds hint "port srv0" 'reverse-path filter is strict' || fail "$(doctor)"
mends 'reverse-path filter is strict'
lab_in gateway sysctl -qw net.ipv4.conf.srv0.rp_filter=0

say "a veth that leaves work to a NIC"
for feature in tx-checksumming:tx tcp-segmentation-offload:tso generic-segmentation-offload:gso; do
  lab_in gateway ethtool -K srv0 tx on "${feature#*:}" on >/dev/null  # segments need checksums
  equal "${feature%:*} of srv0" on "$(feature "${feature%:*}")"
  mends 'checksums and segments'
  equal "${feature%:*} of srv0" off "$(feature "${feature%:*}")"
done

say "more queues than the engine serves"
equal "queues of srv0" 1 "$(receive_queues)"
equal "the remedy of one queue for two workers" "ethtool -L srv0 rx 2 tx 2 && systemctl restart guideway-engine" \
  "$(remedy_of '^1 queues for 2 workers')"
lab_in gateway ethtool -L srv0 rx 2 tx 2
finds problem "port srv0" "it has $(receive_queues) receive queues, the engine serves 1" || fail "$(doctor)"
mends 'receive queues, the engine serves'
equal "queues of srv0" 1 "$(receive_queues)"

say "no room for an outer header on the way to the servers"
lab_in gateway ip link set dev srv0 mtu 1500
finds hint encapsulation 'srv0 has an MTU of 1500' || fail "$(doctor)"
mends 'srv0 has an MTU of 1500'

say "a port without a link"
lab_in gateway ip link set dev srv0 down
lab_wait_until 5 finds problem "port srv0" 'no link' || fail "$(doctor)"
mends 'no link'

say "another network namespace than the engine's"
! lab_cli doctor >/dev/null || fail "exit code 0 elsewhere"
{ lab_cli doctor -o json || true; } | jq -e '[.findings[] | select(.text | test("network namespace"))] | length == 1' >/dev/null ||
  fail "$(lab_cli doctor)"

say "a daemon that can't be asked"
elsewhere() { lab_in gateway "$LAB_BUILD/mgmt/guideway" --server "unix:$LAB_HOME/nowhere.sock" doctor || true; }
has 'guidewayd runs here and serves elsewhere' <<<"$(elsewhere)" || fail "$(elsewhere)"
lab_stop daemon
silent() { { doctor || true; } | has "^problem   daemon: guidewayd can't be reached"; }
lab_wait_until 10 silent || fail "$(doctor)"
equal "the remedy" "systemctl start guidewayd" "$(remedy_of "guidewayd can't be reached")"
gone 'BPF file system' || fail "an engine runs, and has pinned: $(doctor)"
