#!/usr/bin/env bash
# The way to the servers carries 1400 bytes (guideway.io/mtu), outer headers included: what a client sends too large is answered
# by the gateway with the size that fits, and the client's uploads go on in that; what may be cut (IPv4 without DF) is cut.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
for file in "$LAB_RUN"/manifests/*.yaml; do
  sed -i 's|^  annotations:$|&\n    guideway.io/mtu: "1400"|' "$file"
done
lab_start_gateway || fail "the gateway doesn't start"
meet_neighbors

# `overhead MODE VIP`: of what is put around the packet.
overhead() {
  case $1:$2 in
  dsr-ipip-mixed:*:* | dsr-ipip:*.*) echo 20 ;;
  dsr-ipip-mixed:* | dsr-ipip:*) echo 40 ;;
  dsr-gue-mixed:*:* | dsr-gue:*.*) echo 28 ;;
  dsr-gue-mixed:* | dsr-gue:*) echo 48 ;;
  *) echo 0 ;;
  esac
}
path_mtu() { lab_in client ip route get "$1" | grep -oE 'mtu [0-9]+' | cut -d' ' -f2; }

for mode in "${LAB_MODES[@]}" "${LAB_MIXED[@]}"; do
  for vip in "${LAB_VIP4[$mode]}" "${LAB_VIP6[$mode]}"; do
    fits=$((1400 - $(overhead "$mode" "$vip")))
    say "$mode $vip: $fits bytes fit"
    if [[ $vip = *.* ]]; then
      answers=$(lab_in client /usr/bin/python3 -B "$LAB_ROOT/pktgen-tests/netns/fragments.py" "$vip" 7 50 1390 in-order) ||
        fail "UDP that may be cut, to $vip: $answers"
    fi
    # Only now: a client that knows the path MTU cuts what may be cut itself.
    equal "the path MTU to $vip before" '' "$(path_mtu "$vip")"
    equal "an upload to $vip" 1000000 "$(lab_big_file | get "$vip" /upload --data-binary @-)"
    equal "the path MTU to $vip that the client was told" $fits "$(path_mtu "$vip")"
  done
done
say "dropped: $(dropped)"
