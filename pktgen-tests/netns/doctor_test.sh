#!/usr/bin/env bash
# `guideway doctor` on a gateway that is well, and on one with which something is wrong: what it says, and its exit code.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
lab_start_gateway --workers 2 || fail "the gateway doesn't start"
doctor() { lab_in gateway "$LAB_BUILD/mgmt/guideway" --server "unix:$LAB_HOME/guideway.sock" doctor "$@"; }
# `finds SEVERITY SUBJECT PATTERN`: one such finding.
finds() {
  { doctor -o json || true; } | jq -e --arg severity "$1" --arg subject "$2" --arg text "$3" \
    '[.findings[] | select(.severity == $severity and .subject == $subject and (.text | test($text)))] | length == 1' >/dev/null
}

said=$(doctor) || fail "something is wrong with a gateway that is well: $said"
! has ^problem <<<"$said" || fail "a problem, and exit code 0: $said"
finds fine engine connected || fail "the engine isn't found: $said"
finds fine privileges needs || fail "the engine's privileges aren't found: $said"
finds fine VIPs none || fail "VIPs aren't looked for among the host's addresses: $said"
! has ^.*encapsulation <<<"$said" || fail "srv0 has room for encapsulation: $said"

vip=${LAB_VIP4[nat]}
say "a VIP is an address of the host"
lab_in gateway ip address add "$vip/28" dev lo
! doctor >/dev/null || fail "exit code 0, and a VIP is an address of the host"
finds problem "VIP $vip" 'address of lo' || fail "$(doctor)"
remedy=$({ doctor -o json || true; } | jq -r '.findings[] | select(.subject == "VIP '"$vip"'") | .remedy')
# shellcheck disable=SC2086
lab_in gateway $remedy
doctor >/dev/null || fail "still, after the remedy '$remedy': $(doctor)"

say "the reverse-path filter is strict"
lab_in gateway sysctl -qw net.ipv4.conf.srv0.rp_filter=1
finds hint "port srv0" 'reverse-path filter is strict' || fail "$(doctor)"
lab_in gateway sysctl -qw net.ipv4.conf.srv0.rp_filter=0

say "a port without a link"
lab_in gateway ip link set dev srv0 down
lab_wait_until 5 finds problem "port srv0" 'no link' || fail "$(doctor)"
lab_in gateway ip link set dev srv0 up

say "another network namespace than the engine's"
! lab_cli doctor >/dev/null || fail "exit code 0 elsewhere"
{ lab_cli doctor -o json || true; } | jq -e '[.findings[] | select(.text | test("no such interface here"))] | length == 2' >/dev/null ||
  fail "$(lab_cli doctor)"

say "no daemon"
lab_stop daemon
silent() { { doctor || true; } | has "^problem   daemon: guidewayd can't be reached"; }
lab_wait_until 10 silent || fail "$(doctor)"
