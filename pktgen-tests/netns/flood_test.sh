#!/usr/bin/env bash
# A flood of SYNs from sources that a SourceFilter denies, at a gateway with a million denied prefixes, while a permitted
# client is served: XDP drops all of it, and the workers' counters stay still but for what the client sent. An engine that
# is killed comes back with the filter, and meanwhile the kernel has it. A rate limit of sources holds likewise. Figures are
# printed.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
# 203.0.113.0/24 and 2001:db8:dead::/48 among them, and no client of the lab.
/usr/bin/python3 -B -c "
import sys
for part in range(5):
    with open(f'{sys.argv[1]}/denied{part}.yaml', 'w') as out:
        out.write('apiVersion: guideway.io/v1alpha1\nkind: SourceFilter\nmetadata:\n  name: list-%d\nspec:\n  deniedCIDRs:\n' % part)
        if part == 0: out.write('  - 203.0.113.0/24\n  - 2001:db8:dead::/48\n')
        for n in range(199990):
            k = part * 199990 + n
            out.write('  - %d.%d.%d.0/24\n' % (100 + (k >> 16), k >> 8 & 255, k & 255))
" "$LAB_RUN/manifests"
denied=$((5 * 199990 + 2))
started=$(date +%s%N)
lab_start_gateway || fail "the gateway doesn't start"
engine_has() { [ "$(lab_cli status -o json 2>/dev/null | jq -r '.engine.status.denied_prefixes // 0')" = "$1" ]; }
lab_wait_until 60 engine_has $denied || fail "the engine has $(lab_cli status -o json | jq .engine.status.denied_prefixes) denied prefixes"
say "$denied prefixes are denied $((($(date +%s%N) - started) / 1000000)) ms after the start"
meet_neighbors
mac=$(lab_in gateway cat /sys/class/net/cl0/address)
vip4=${LAB_VIP4[dsr-ipip]} vip6=${LAB_VIP6[dsr-ipip]}
flooding=(203.0.113.0/24 2001:db8:dead::/48 110.9.7.0/24)

filtered() { dropped | jq '.source_filtered // 0'; }
flood() { lab_in client /usr/bin/python3 -B "$LAB_ROOT/pktgen-tests/netns/flood.py" gw0 "$mac" "$1" "$2" "${flooding[@]}"; }

for vip in "$vip4" "$vip6"; do
  received=$(of_workers .received) before=$(filtered) rest=$(dropped | jq -cS 'del(.source_filtered)')
  sent=$(flood "$vip" 3)
  dropped_now=$(($(filtered) - before))
  say "$vip: $sent SYNs in 3 s, $dropped_now of them dropped as source_filtered, $(($(of_workers .received) - received)) packets came to the workers"
  [ "$sent" -gt 10000 ] || fail "that is no flood"
  equal "packets of the flood that XDP dropped" "$sent" "$dropped_now"
  # Beside it, the kernels' own: ARP and neighbour discovery.
  [ $(($(of_workers .received) - received)) -lt 50 ] || fail "the workers got $(($(of_workers .received) - received)) packets"
  equal "other drops" "$rest" "$(dropped | jq -cS 'del(.source_filtered)')"

  say "$vip: the same, while a client is served"
  received=$(of_workers .received) before=$(filtered)
  flood "$vip" 4 >"$LAB_RUN/flooded" &
  flood_pid=$!
  sleep 1
  sent_by_client=$(packets client gw0 tx)
  answers=$(servers_behind "$vip" 200)
  kill -0 $flood_pid || fail "the flood is over already"
  wait $flood_pid
  equal "the servers behind $vip" 'web1 web2 web3' "$answers"
  equal "packets of the flood that XDP dropped" "$(cat "$LAB_RUN/flooded")" $(($(filtered) - before))
  through=$(($(of_workers .received) - received))
  permitted=$(($(packets client gw0 tx) - sent_by_client))
  say "$vip: $(cat "$LAB_RUN/flooded") SYNs, $through packets came to the workers, and 200 requests were answered"
  # About ten packets a request.
  { [ $through -ge 1000 ] && [ $through -lt 4000 ] && [ $permitted -ge $through ]; } ||
    fail "$through packets came to the workers, of $permitted that the client sent"
done

say "without an engine the kernel has it; and so has the next engine, from its own saved state"
kill -9 "$(cat "$LAB_RUN/pids/daemon")"
rm "$LAB_RUN/pids/daemon"
kill -9 "$(cat "$LAB_RUN/pids/supervisor")" "$(cat "$LAB_RUN/pids/engine")"
redirected=$(packets gateway srv0 tx)
sent=$(flood "$vip4" 1)
[ $(($(packets gateway srv0 tx) - redirected)) -lt 50 ] || fail "the kernel balances what is denied"
equal "the servers behind $vip4 without an engine" 'web1 web2 web3' "$(servers_behind "$vip4")"
started=$(date +%s%N)
lab_start_engine
lab_wait_until 20 get "${LAB_VIP4[nat]}" / -o /dev/null || fail "the engine doesn't take over"
say "an engine with the saved state serves $((($(date +%s%N) - started) / 1000000)) ms after its start"
lab_start_daemon
engine_has $denied || lab_wait_until 30 engine_has $denied || fail "the engine lost denied prefixes"
before=$(filtered)
sent=$(flood "$vip4" 1)
equal "packets of the flood that XDP dropped" "$sent" $(($(filtered) - before))

say "a change of one list takes what it names away, and nothing else"
rm "$LAB_RUN/manifests/denied0.yaml"
lab_wait_until 30 engine_has $((denied - 199992)) || fail "the engine doesn't follow"
before=$(filtered)
flooding=(203.0.113.7/32)
sent=$(flood "$vip4" 0.1)
equal "packets dropped that aren't denied any more" 0 $(($(filtered) - before))
lab_cli filters

say "a rate limit of sources: what a /24 may send comes, and nothing more; another's client is served"
lab_cli apply -f - <<'YAML' || fail "the rate limit isn't taken"
apiVersion: guideway.io/v1alpha1
kind: SourceFilter
metadata: {name: rate}
spec:
  sourceRateLimit: {packetsPerSecond: 2000, burst: 3000}
YAML
limited() { [ "$(dropped | jq '.source_rate // 0')" -gt 0 ]; }
flooding=(203.0.113.0/24)
meets_limit() { flood "$vip4" 0.1 >/dev/null; limited; }
lab_wait_until 20 meets_limit || fail "the rate limit isn't in force"
received=$(of_workers .received) before=$(dropped | jq .source_rate) started=$(date +%s%N)
sent=$(flood "$vip4" 3)
through=$(($(of_workers .received) - received)) most=$((2000 * (($(date +%s%N) - started) / 1000000) / 1000 + 3000))
over=$(($(dropped | jq .source_rate) - before))
say "$vip4: $sent SYNs, $over of them dropped as source_rate, $through packets came to the workers, at most $most may"
[ $through -le $((most + 50)) ] || fail "more packets came to the workers than may"
[ $((sent - over)) -le $most ] || fail "XDP let $((sent - over)) of the flood pass"
equal "the servers behind $vip4" 'web1 web2 web3' "$(servers_behind "$vip4")"
