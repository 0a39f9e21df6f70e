#!/usr/bin/env bash
# Two gateways with the same manifests: each carries every VIP, both pick the same server for a flow without a word to each
# other, and downloads in DSR go on when the router takes one gateway away. Drawn in lab_two_gateways.sh.
. "$(dirname "$0")/prologue.sh"
. "$LAB_ROOT/pktgen-tests/lab_two_gateways.sh"

needs_gateway
begin
lab_start_gateways --connections 65536 || fail "the gateways don't start"
checksum=$(lab_big_file | sha256sum)
declare -A dropped_by
for space in "${LAB_GATEWAYS[@]}"; do
  lab_by_one "$space"
  lab_at "$space" meet_neighbors
  dropped_by[$space]=$dropped_first
done

for space in client "${LAB_SERVERS[@]}"; do  # the client uses its ports again at once
  lab_in "$space" sysctl -q -w net.ipv4.tcp_max_tw_buckets=0
done

# The servers that answer flows to a VIP, each with the client's port.
all_servers() { for port in {31000..31039}; do echo "$port $(get "$1" / --local-port $port)"; done; }

for mode in "${LAB_MODES[@]}" dsr-gue-mixed; do
  for vip in "${LAB_VIP4[$mode]}" "${LAB_VIP6[$mode]}"; do
    say "$mode $vip"
    lab_by_one gw1
    by_first=$(all_servers "$vip")
    [ "$(awk '{print $2}' <<<"$by_first" | sort -u | wc -l)" -ge 2 ] || fail "one server answers all of $vip: $by_first"
    lab_by_one gw2
    equal "servers of $vip by the second gateway" "$by_first" "$(all_servers "$vip")"
    [ "$mode" != nat ] || continue

    lab_by_one gw1
    get "$vip" /steady >"$LAB_RUN/download" &
    download=$!
    sleep 0.7
    before=$(packets border gw2 tx)
    lab_by_one gw2
    wait $download || fail "the download from $vip ends with its gateway"
    equal "the file from $vip, by two gateways" "$checksum" "$(sha256sum <"$LAB_RUN/download")"
    [ $(($(packets border gw2 tx) - before)) -ge 5 ] || fail "the download from $vip didn't pass the second gateway"
  done
done

for space in "${LAB_GATEWAYS[@]}"; do
  dropped_first=${dropped_by[$space]}
  lab_at "$space" nothing_dropped
done
