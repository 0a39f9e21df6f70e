#!/usr/bin/env bash
# What `guideway trace` promises comes true: the very packet that it has made up is sent from the client, and what the
# engine sends is caught behind it, where the servers are. All bytes must be those that were promised: the packet is the
# same, so no field may differ. In between a trace leaves nothing behind.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
lab_start_gateway --workers 2 || fail "the gateway doesn't start"
meet_neighbors
# The client knows nothing of these connections and would reset them.
lab_in client nft 'add table inet silent; add chain inet silent out { type filter hook output priority 0; }; add rule inet silent out tcp flags rst drop'

caught=$LAB_RUN/log/caught.log
ip netns exec "$LAB_PREFIX-router" /usr/bin/python3 -B "$LAB_ROOT/pktgen-tests/netns/frames.py" catch gateway >"$caught" 2>&1 &
lab_wait_until 5 grep -q ready "$caught" || fail "frames.py doesn't start"
ip netns exec "$LAB_PREFIX-client" /usr/bin/python3 -B "$LAB_ROOT/pktgen-tests/netns/frames.py" catch gw0 >"$caught.client" 2>&1 &
lab_wait_until 5 grep -q ready "$caught.client" || fail "frames.py doesn't start"

client() { case $1 in *:*) echo fd77:1::2 ;; *) echo 10.77.1.2 ;; esac; }
port=21000  # of the client: another flow each time, and none of those that its kernel gives (32768 and above)
# `trace PROTOCOL VIP [PORT] [ARGUMENT...]`: the trace of a packet of the client's, in `traced` as JSON; its code in `code`.
trace() {
  local protocol=$1 vip=$2 to=$3
  shift 3
  code=0
  traced=$(lab_cli trace "$protocol" "$(in_url "$(client "$vip")"):$port" "$(in_url "$vip"):$to" "$@" -o json) || code=$?
}
told() { jq -r "$1" <<<"$traced"; }
hex() { base64 -d | od -An -v -tx1 | tr -d ' \n'; }
sender=client link=gw0  # who sends, and by which link
send_it() { told .packet | hex | lab_in "$sender" /usr/bin/python3 -B "$LAB_ROOT/pktgen-tests/netns/frames.py" send "$link"; }
# `remembered VIP`: connections of the flow in hand.
remembered() { lab_cli connections --vip "$1" --limit 1000000 -o json | jq "[.connections[] | select(.client_port == $port)] | length"; }

# `comes_true WHAT [FILE]`: the packet was to be forwarded; what is promised leaves once it is sent.
comes_true() {
  local frame
  equal "the exit code of the trace of $1" 0 "$code"
  [ "$(told '.sent | length')" -ge 1 ] || fail "the trace of $1 promises nothing: $traced"
  equal "what XDP does with $1" STEERING_ENGINE "$(told .steering)"
  for frame in $(told '.sent[].frame'); do
    frame=$(hex <<<"$frame")
    ! grep -qx "$frame" "${2:-$caught}" || fail "$1: the frame has left before it was sent"
  done
  send_it
  for frame in $(told '.sent[].frame'); do
    frame=$(hex <<<"$frame")
    lab_wait_until 3 grep -qx "$frame" "${2:-$caught}" || fail "$1: promised were $frame, caught $(tail -n 3 "${2:-$caught}")"
  done
}
# `is_dropped WHAT REASON`: so it is told, and counted once the packet is sent.
is_dropped() {
  local before after
  equal "the exit code of the trace of $1" 3 "$code"
  equal "why $1 is dropped" "$2" "$(told .dropped.reason)"
  before=$(dropped | jq ".$2 // 0")
  send_it
  counted() { after=$(dropped | jq ".$2 // 0"); [ "$after" = $((before + 1)) ]; }
  lab_wait_until 3 counted "$1" "$2" || fail "$1: $2 was counted $before times before, $after times after"
}

# All kinds that the command line has.
IFS=', ' read -ra errors <<<"$("$LAB_BUILD/mgmt/guideway" trace --help | sed -n 's/^ *--icmp-error KIND:{\(.*\)}$/\1/p')"
[ ${#errors[@]} -ge 4 ] || fail "the help of trace doesn't tell the kinds of ICMP errors: ${errors[*]}"
router() { case $1 in *:*) echo fd77:1::77 ;; *) echo 10.77.1.77 ;; esac; }
# `sctp_service MODE NUMBER`: SCTP at port 80 of the VIPs with this number.
sctp_service() {
  local family
  printf '%s\n' '---' 'apiVersion: v1' 'kind: Service' \
    "metadata: {name: sctp-$1, namespace: lab, annotations: {guideway.io/forwarding-mode: $1}}" \
    'spec: {type: LoadBalancer, loadBalancerClass: guideway.io/gateway, ports: [{name: sctp, port: 80, protocol: SCTP, targetPort: 80}]}' \
    "status: {loadBalancer: {ingress: [{ip: 192.0.2.$2}, {ip: \"2001:db8::$2\"}]}}"
  for family in 4 6; do
    local -n addresses=LAB_ADDRESS$family
    printf '%s\n' '---' 'apiVersion: discovery.k8s.io/v1' 'kind: EndpointSlice' \
      "metadata: {name: sctp-$1-$family, namespace: lab, labels: {kubernetes.io/service-name: sctp-$1}}" \
      "addressType: IPv$family" "endpoints: [{addresses: [\"${addresses[web1]}\"]}, {addresses: [\"${addresses[web2]}\"]}]" \
      'ports: [{name: sctp, port: 80, protocol: SCTP}]'
  done
}

for mode in "${LAB_MODES[@]}" "${LAB_MIXED[@]}"; do
  for vip in "${LAB_VIP4[$mode]}" "${LAB_VIP6[$mode]}"; do
    say "$mode $vip"
    port=$((port + 1))
    trace tcp "$vip" 80
    equal "connections of the flow after a trace" 0 "$(remembered "$vip")"
    equal "the entry of a new connection" false "$(told '.passes[-1].stages[] | .track // empty | .found')"
    comes_true "a SYN to $vip"
    equal "connections of the flow after its SYN" 1 "$(remembered "$vip")"
    trace tcp "$vip" 80 --flags ack
    equal "the state of the connection to $vip" STATE_SETUP "$(told '.passes[-1].stages[] | .track // empty | .state')"
    comes_true "an ACK to $vip"
    port=$((port + 1))
    trace udp "$vip" 7 --size 1000
    comes_true "UDP to $vip"
    trace udp "$vip" 7
    equal "the entry of UDP to $vip" true "$(told '.passes[-1].stages[] | .track // empty | .found')"
    comes_true "UDP to $vip once more"
    # A router before the client, or the client itself, can't pass or take what the server has sent.
    for error in "${errors[@]}"; do
      trace udp "$vip" 7 --icmp-error "$error"
      comes_true "an ICMP error, $error, to $vip"
    done
    # In nat the router becomes the SNAT address: by its size the error is another than those before.
    trace udp "$vip" 7 --icmp-error time-exceeded --icmp-from "$(router "$vip")" --size 120
    comes_true "an ICMP error of a router to $vip"
  done
done

say "SCTP"
lab_cli apply -f - <<EOF >/dev/null
$(sctp_service dsr-ipip 96)
$(sctp_service nat 97)
EOF
for vip in 192.0.2.96 2001:db8::96 192.0.2.97 2001:db8::97; do
  port=$((port + 1))
  has_a_way() { trace sctp "$vip" 80; [ "$(told .outcome)" = OUTCOME_FORWARDED ]; }
  lab_wait_until 5 has_a_way || fail "an INIT to $vip isn't to be forwarded: $traced"
  equal "the entry of a new association" false "$(told '.passes[-1].stages[] | .track // empty | .found')"
  comes_true "an INIT to $vip"
  trace sctp "$vip" 80 --chunk data --size 600
  equal "the entry of an association" true "$(told '.passes[-1].stages[] | .track // empty | .found')"
  comes_true "DATA to $vip"
  trace sctp "$vip" 80 --icmp-error unreachable
  comes_true "an ICMP error about SCTP to $vip"
  trace sctp "$vip" 80 --chunk shutdown
  comes_true "a SHUTDOWN to $vip"
done

say "from one worker to the other"
# Of nat's flows each worker owns about half.
declare -A nat_port  # of the client, by VIP
for vip in "${LAB_VIP4[nat]}" "${LAB_VIP6[nat]}"; do
  for _ in {1..32}; do
    port=$((port + 1))
    trace tcp "$vip" 80
    [ "$(told '.passes | length')" = 1 ] || break
  done
  equal "workers that a SYN to $vip comes to" 2 "$(told '.passes | length')"
  equal "whom the first one hands it to" "$(told '.passes[1].worker')" "$(told '.passes[0].handed_to')"
  comes_true "a SYN that is handed over to $vip"
  nat_port[$vip]=$port
done

say "a server's answer, in nat"
sender=router link=gateway
for vip in "${LAB_VIP4[nat]}" "${LAB_VIP6[nat]}"; do
  row=$(lab_cli connections --vip "$vip" --limit 1000000 -o json | jq -c "[.connections[] | select(.client_port == ${nat_port[$vip]})][0]")
  field() { jq -r ".$1" <<<"$row"; }
  code=0
  traced=$(lab_cli trace tcp "$(in_url "$(field backend)"):$(field backend_port)" "$(in_url "$(field snat)"):$(field snat_port)" \
    --flags 'syn|ack' --port srv0 -o json) || code=$?
  equal "the port that an answer from $vip comes in by" srv0 "$(told .port)"
  equal "the way of an answer from $vip" DIRECTION_REPLY "$(told '.passes[-1].stages[] | .track // empty | .direction')"
  comes_true "an answer from $vip" "$caught.client"
done
sender=client link=gw0

say "fragments"
for vip in "${LAB_VIP4[dsr-gue]}" "${LAB_VIP6[dsr-gue]}"; do
  port=$((port + 1))
  trace udp "$vip" 7 --size 1000 --fragment later --id "$port"
  equal "what a fragment before the first one to $vip does" OUTCOME_WAITS "$(told .outcome)"
  trace udp "$vip" 7 --size 1000 --fragment first --id "$port"
  equal "the port that the first fragment to $vip tells" 7 "$(told '.passes[-1].stages[] | .match // empty | .flow.destination_port')"
  comes_true "the first fragment to $vip" "$caught"
done

say "the gateway's own answers"
for vip in "${LAB_VIP4[dsr-ipip]}" "${LAB_VIP6[dsr-ipip]}"; do
  code=0
  traced=$(lab_cli trace icmp "$(client "$vip")" "$vip" -o json) || code=$?
  equal "what a ping of $vip comes to" OUTCOME_ANSWERED "$(told .outcome)"
  comes_true "a ping of $vip" "$caught.client"
done

say "drops"
port=$((port + 1))
for vip in "${LAB_VIP4[nat]}" "${LAB_VIP6[nat]}"; do
  trace tcp "$vip" 80 --flags ack
  is_dropped "an ACK without a connection to $vip" no_connection
  trace tcp "$vip" 80 --ttl 1
  is_dropped "a SYN to $vip at the end of its life" ttl_exceeded
  port=$((port + 1))
done
for server in "${LAB_SERVERS[@]}"; do set_endpoint "$server" False False False; done
no_backend() { trace tcp "${LAB_VIP4[dsr-l2]}" 80; [ "$(told .dropped.reason)" = no_backend ]; }
lab_wait_until 5 no_backend || fail "a VIP without backends isn't said to have none: $traced"
is_dropped "a SYN to a VIP without backends" no_backend
for server in "${LAB_SERVERS[@]}"; do set_endpoint "$server" True True False; done

say "what XDP drops, which no trace changes"
vip=${LAB_VIP4[dsr-ipip]}
trace_from() {
  code=0
  traced=$(lab_cli trace tcp "$1:21000" "$vip:80" -o json) || code=$?
}
xdp_drops() { [ "$code $(told '"\(.outcome) \(.dropped.stage) \(.dropped.reason)"')" = "3 OUTCOME_DROPPED xdp $1" ]; }
lab_cli apply -f - <<'EOF' >/dev/null
{apiVersion: guideway.io/v1alpha1, kind: SourceFilter, metadata: {name: denied}, spec: {deniedCIDRs: [203.0.113.0/24]}}
EOF
denied() { trace_from 203.0.113.7 && xdp_drops source_filtered; }
lab_wait_until 5 denied || fail "a denied source isn't said to be dropped by XDP: $traced"
before=$(lab_cli drops -o json)
for _ in {1..10}; do
  trace_from 203.0.113.7
  xdp_drops source_filtered || fail "a denied source isn't said to be dropped by XDP: $traced"
  trace_from 224.0.0.1
  xdp_drops bad_address || fail "an impossible source isn't said to be dropped by XDP: $traced"
done
equal "drops after traces of what XDP drops" "$before" "$(lab_cli drops -o json)"
text=$(lab_cli trace tcp 203.0.113.7:21000 "$vip:80") || true
has '^Dropped by xdp: source_filtered (' <<<"$text" || fail "the trace doesn't say that XDP drops a denied source: $text"

before=$(lab_cli status -o json | jq -c .applied)
edit dsr-ipip.yaml "text.replace('  annotations:\n', '  annotations:\n    guideway.io/rate-limit-pps: \"1\"\n', 1)"
limited() { lab_cli status -o json | jq -e --argjson before "$before" '.applied != $before and .applied == .desired'; }
lab_wait_until 5 limited || fail "the rate limit isn't taken"
for _ in {1..30}; do
  trace_from 10.77.1.2
  equal "the exit code of a trace within the rate of $vip" 0 "$code"
done
get "$vip" / -m 3 >/dev/null || fail "traces have used up the rate of $vip"
# Ten packets come at once, and one a second.
over_rate() {
  for _ in {1..3}; do get "$vip" / -m 1 --connect-timeout 0.2 >/dev/null 2>&1 || true; done
  trace_from 10.77.1.2
  xdp_drops vip_rate
}
lab_wait_until 10 over_rate || fail "a VIP over its rate isn't said to be dropped by XDP: $traced"

say "what isn't the engine's"
trace tcp "${LAB_VIP4[dsr-l2]}" 81
equal "the exit code for a port that is none of the VIP's" 3 "$code"
equal "who gets a packet to a port that is none of the VIP's" OUTCOME_HOST "$(told .outcome)"
trace tcp 10.77.1.1 22
equal "who gets a packet to the gateway's sshd" OUTCOME_HOST "$(told .outcome)"

say "in words"
port=$((port + 1))
code=0
text=$(lab_cli trace tcp "10.77.1.2:$port" "${LAB_VIP4[dsr-gue]}:80" --port cl0) || code=$?
equal "the exit code" 0 "$code"
for what in 'xdp *steers it to the engine' 'track *no entry' 'for Service lab/dsr-gue (http)' 'Maglev slot [0-9]* of [0-9]*: backend 10.77' \
  'by dsr-gue' 'would be remembered' 'route *by srv0, next hop' '^Forwarded$' '^Leaves by srv0, [0-9]* bytes:$' 'UDP  .* -> 6080' "TCP  *$port -> 80 SYN"; do
  has -e "$what" <<<"$text" || fail "the trace doesn't say '$what': $text"
done
