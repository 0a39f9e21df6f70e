#!/usr/bin/env bash
# VLANs on the gateway's ports. Servers and router are reached by srv0.10: their switch has the gateway on a trunk, which
# carries tagged frames alone. Clients are untagged on cl0, or in VLAN 20 of it. Neighbours in VLANs stay known.
. "$(dirname "$0")/prologue.sh"

needs_gateway
unshare --net sh -c 'ip link add v0 type veth peer name v1 && ip link add link v0 name v0.10 type vlan id 10' 2>/dev/null ||
  skip "this kernel has no VLAN interfaces"
begin

vlan() {  # NAMESPACE LINK NUMBER IPV4/LENGTH IPV6/LENGTH
  lab_in "$1" ip link add link "$2" name "$2.$3" type vlan id "$3"
  lab_in "$1" ip link set "$2.$3" up
  lab_address "$1" "$2.$3" "$4" "$5"
}
# Towards the gateway a tag stands in the frame, where XDP sees it.
lab_in router ethtool -K gateway txvlan off >/dev/null
lab_in client ethtool -K gw0 txvlan off >/dev/null

lab_in router ip link set srv type bridge vlan_filtering 1 vlan_default_pvid 10
lab_in router bridge vlan add dev gateway vid 10  # neither its native VLAN nor untagged any more
lab_in gateway ip link set srv0 down  # its routes go
lab_in gateway ip address flush dev srv0
lab_in gateway ip link set srv0 up
vlan gateway srv0 10 10.77.2.1/24 fd77:2::1/64
lab_route gateway 10.77.2.254 fd77:2::254 10.77.3.0/24 fd77:3::/64

declare -A client20=([4]=10.77.20.2 [6]=fd77:20::2)
vlan gateway cl0 20 10.77.20.1/24 fd77:20::1/64
vlan client gw0 20 "${client20[4]}/24" "${client20[6]}/64"
lab_in client ip -4 route add default via 10.77.20.1 table 20
lab_in client ip -6 route add default via fd77:20::1 table 20
for family in 4 6; do lab_in client ip -$family rule add from "${client20[$family]}" lookup 20; done
for server in "${LAB_SERVERS[@]}"; do lab_route "$server" 10.77.9.2 fd77:9::2 10.77.20.0/24 fd77:20::/64; done

# `get20 VIP [PATH] [CURL ARGUMENT...]`: from VLAN 20.
get20() { get "$1" "${2:-/}" --interface "$(address20 "$1")" "${@:3}"; }
address20() { case $1 in *:*) echo "${client20[6]}" ;; *) echo "${client20[4]}" ;; esac; }

lab_start_gateway || fail "the gateway doesn't start"
for vip in "${LAB_VIP4[nat]}" "${LAB_VIP6[nat]}"; do get20 "$vip" >/dev/null || fail "no answer from $vip in VLAN 20"; done
meet_neighbors
checksum=$(lab_big_file | sha256sum)

for mode in "${LAB_MODES[@]}"; do
  for vip in "${LAB_VIP4[$mode]}" "${LAB_VIP6[$mode]}"; do
    say "$mode $vip"
    expected='web1 web2 web3'
    [ "$mode" != dsr-l2 ] || expected='web1 web2'
    equal "the servers behind $vip" "$expected" "$(servers_behind "$vip")"
    client=$(address20 "$vip")
    case $mode:$vip in
    nat:*:*) client=$LAB_SNAT6 ;;
    nat:*) client=$LAB_SNAT4 ;;
    esac
    equal "the address that servers of $vip see of VLAN 20" "$client" "$(get20 "$vip" /client)"
    before=$(packets client gw0.20 rx)
    for ask in get get20; do
      equal "the large file from $vip by $ask" "$checksum" "$($ask "$vip" /big | sha256sum)"
      equal "an upload to $vip by $ask" 1000000 "$(lab_big_file | $ask "$vip" /upload --data-binary @-)"
    done
    # The client's kernel would take the answers untagged, too.
    tagged=$(($(packets client gw0.20 rx) - before))
    [ "$mode" != nat ] || [ $tagged -gt 20 ] || fail "answers from $vip don't come in VLAN 20: $tagged packets did"
  done
done
nothing_dropped

say "neighbours in VLANs that the kernel has lost"
is_known() { lab_in gateway ip neigh show to "$1" dev "$2" | has lladdr; }
for server in "${LAB_ADDRESS4[web1]}" "${LAB_ADDRESS6[web1]}"; do
  lab_in gateway ip neigh del "$server" dev srv0.10
  lab_wait_until 5 is_known "$server" srv0.10 || fail "$server isn't found again"
done
for vip in "${LAB_VIP4[nat]}" "${LAB_VIP6[nat]}"; do
  lab_in gateway ip neigh del "$(address20 "$vip")" dev cl0.20
  get20 "$vip" >/dev/null || fail "$vip doesn't answer VLAN 20 any more"
  equal "the servers behind $vip afterwards" 'web1 web2 web3' "$(servers_behind "$vip")"
done
equal "drops besides those for a lost neighbour" '[]' "$(dropped | jq -c 'del(.no_neighbor) | keys')"
