#!/usr/bin/env bash
# What the command line shows of a gateway that works, held against what is sent through it: top, describe, log-level; and
# that every command shows the same in each format.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
lab_start_gateway --workers 2 || fail "the gateway doesn't start"
meet_neighbors

vip=${LAB_VIP4[nat]}
# `counted FIELD`: of the VIP's HTTP port, both ways.
counted() {
  lab_cli services -o json | jq --arg vip "$vip" \
    '[.services[] | select(.vip == $vip and .port == 80) | .counters | '"$1"' | tonumber] | add'
}
# `rated FILTER FIELD`: what top's samples add up to, each rate by the time that it is of.
rated() { jq -s "[.[] | .seconds as \$s | $1 | (.$2 // 0) * \$s] | (add // 0) | round" "$LAB_RUN/top.json"; }

say "top: the rates of its samples add up to what was counted"
packets=$(counted '(.packets, .reply_packets)') bytes=$(counted '(.bytes, .reply_bytes)') connections=$(counted .connections)
lab_cli top -o json -n 16 --interval 0.5 --sort connections >"$LAB_RUN/top.json" &
top=$!
begun() { [ -s "$LAB_RUN/top.json" ]; }
lab_wait_until 10 begun || fail "top prints nothing"
lab_in client curl -sS --fail -m 20 -o /dev/null -H 'Connection: close' "http://$vip/?[1-60]"
lab_in web1 curl -s -o /dev/null --connect-timeout 0.3 "http://$LAB_SNAT4:20000/" || true  # nobody's connection
sleep 1  # the last packets of it
kill -0 $top || fail "top ended before the traffic did"
wait $top || fail "top fails"
this=".vips[] | select(.vip == \"$vip\" and .port == 80)"
equal "samples" 16 "$(jq -s length "$LAB_RUN/top.json")"
equal "packets" $(($(counted '(.packets, .reply_packets)') - packets)) "$(rated "$this.rates" packets_per_second)"
equal "bits" $((($(counted '(.bytes, .reply_bytes)') - bytes) * 8)) "$(rated "$this.rates" bits_per_second)"
equal "connections" $(($(counted .connections) - connections)) "$(rated "$this.rates" connections_per_second)"
equal "connections of all backends" 60 "$(rated "$this.backends[].rates" connections_per_second)"
equal "the busiest VIP" "$vip" "$(jq -rs 'max_by(.vips[0].rates.connections_per_second) | .vips[0].vip' "$LAB_RUN/top.json")"
equal "what was dropped" no_connection "$(jq -r '.drops[].reason' "$LAB_RUN/top.json" | sort -u)"
lab_cli top --once --interval 0.2 --service "$(jq -rs ".[0] | $this | .namespace + \"/\" + .name" "$LAB_RUN/top.json")" |
  has "^$vip:80/TCP " || fail "one Service alone isn't shown"

say "describe: as the lists have it"
name=$(jq -rs ".[0] | $this | .namespace + \"/\" + .name" "$LAB_RUN/top.json")
lab_cli services describe "$name" -o json >"$LAB_RUN/described.json"
equal "its VIPs" "$(lab_cli services -o json | jq -cS "[.services[] | select(.namespace + \"/\" + .name == \"$name\") | .vip]")" \
  "$(jq -cS '[.vips[].vip]' "$LAB_RUN/described.json")"
equal "files of its objects" "$LAB_RUN/manifests/nat.yaml" "$(jq -r '.objects[].file' "$LAB_RUN/described.json" | sort -u)"
lab_cli services describe "$name" | has '^Problems:    none' || fail "$(lab_cli services describe "$name")"

say "connections: those of a Service that isn't there are none, and that it isn't there is said"
said_of() { lab_cli connections --service "$@" 2>&1 >/dev/null; }
for form in '' --count '-o json'; do
  # shellcheck disable=SC2086
  equal "what is said of a Service that isn't there $form" \
    'guideway: there is no Service lab/nobody; guideway services lists those of the gateway' "$(said_of lab/nobody $form)"
done
equal "connections of it" 0 "$(lab_cli connections --service lab/nobody --count 2>/dev/null)"
equal "what is said of one without connections" '' "$(said_of "$name" --client 203.0.113.99)"

say "log-level: the engine tells of commits once it is asked to, and no longer"
commits() { grep -c ' debug guideway-engine: commit' "$LAB_RUN/log/engine.log" || true; }
equal "commits told at first" 0 "$(commits)"
equal "the levels" $'daemon info\nengine info' "$(lab_cli log-level | tail -n +2 | tr -s ' ')"
lab_cli log-level engine debug >/dev/null
set_endpoint web2 False False False
more_told() { [ "$(commits)" -gt "${told:-0}" ]; }
lab_wait_until 5 more_told || fail "the engine tells of no commit: $(tail -n 3 "$LAB_RUN/log/engine.log")"
lab_cli log-level engine info >/dev/null
told=$(commits)
set_endpoint web2 True True False
all_back() { [ "$(servers_behind "$vip" 40)" = "web1 web2 web3" ]; }
lab_wait_until 5 all_back || fail "web2 doesn't come back"
equal "commits told at last" "$told" "$(commits)"

say "every command, in each format"
manifest=$LAB_RUN/filter.yaml
printf '%s\n' 'apiVersion: guideway.io/v1alpha1' 'kind: SourceFilter' 'metadata: {name: some}' \
  'spec: {deniedCIDRs: [203.0.113.0/24, "2001:db8:dead::/48"]}' >"$manifest"
lab_cli apply -f "$manifest" >/dev/null
other=$LAB_RUN/other.yaml
sed 's/113/114/' "$manifest" >"$other"
commands=(status gateway services 'services describe lab/nat' backends drops connections 'connections --count' filters
  'filters prefixes' 'filters prefixes --address 203.0.113.7' "apply --dry-run -f $other" "apply -f $manifest" "diff -f $other"
  "diff -f $manifest" "delete --dry-run -f $manifest" 'delete SourceFilter none --ignore-not-found' 'drain 10.77.2.11'
  'weight 10.77.2.11 7' 'top --once --interval 0.1' "trace tcp 10.77.1.2:5 $vip:80" "trace tcp 10.77.1.2:5 $vip:80 --ttl 1"
  "trace icmp 10.77.1.2 $vip" 'log-level' 'log-level daemon info' doctor)
elsewhere=' undrain upgrade-engine '  # done only once, as below; needs systemd (vm/)
for command in $("$LAB_BUILD/mgmt/guideway" --help | sed -n '/^Subcommands:/,/^$/s/^  \([^ ]*\) .*/\1/p'); do
  [[ " ${commands[*]}$elsewhere" == *" $command "* ]] || fail "guideway $command is tried in no format"
done
# `printed FORMAT COMMAND...`: into a file; the exit code is told.
printed() {
  local format=$1 code=0
  shift
  lab_cli "$@" -o "$format" >"$LAB_RUN/printed.$format" 2>"$LAB_RUN/printed.error" || code=$?
  printf '%s\n' "$code"
}
# What counts and ages may do so in between.
formats_agree() {
  local first codes=
  first=$(printed table "$@")
  for format in wide json yaml; do codes+=" $(printed "$format" "$@")"; done
  differ="exit codes $first$codes: $(cat "$LAB_RUN/printed.error")"
  [ "$codes" = " $first $first $first" ] || return 1
  differ=$(/usr/bin/python3 -B "$LAB_ROOT/pktgen-tests/netns/same_content.py" "$LAB_RUN/printed.json" "$LAB_RUN/printed.yaml" 2>&1)
}
for command in "${commands[@]}"; do
  # shellcheck disable=SC2086
  lab_wait_until 5 formats_agree $command || fail "guideway $command: $differ"
  case $command in
  "diff -f $manifest" | *--ignore-not-found) ;;  # nothing is there to be told
  *) for format in table wide; do [ -s "$LAB_RUN/printed.$format" ] || fail "guideway $command -o $format prints nothing"; done ;;
  esac
  # All columns of the table, and perhaps more.
  equal "what guideway $command -o wide lacks of the table's head" '' "$(comm -23 \
    <(head -n 1 "$LAB_RUN/printed.table" | grep -oE '[A-Z][A-Z-]+ ' | sort -u) \
    <(head -n 1 "$LAB_RUN/printed.wide" | grep -oE '[A-Z][A-Z-]+ ' | sort -u))"
done
for format in json yaml; do
  lab_cli drain 10.77.2.11 >/dev/null
  equal "the exit code of undrain -o $format" 0 "$(printed $format undrain 10.77.2.11)"
done
/usr/bin/python3 -B "$LAB_ROOT/pktgen-tests/netns/same_content.py" "$LAB_RUN/printed.json" "$LAB_RUN/printed.yaml" ||
  fail "undrain tells in YAML something else than in JSON"

say "an engine that hangs: nothing is said to be in force, and what is wrong is"
engine=$(cat "$LAB_RUN/pids/engine")
kill -STOP "$engine"
drained=$(lab_cli drain 10.77.2.11)
has 'kept, but not in force yet: the engine hasn.t ' <<<"$drained" || fail "a drain that the engine didn't take: $drained"
hung() { lab_cli status | has "the engine hasn't answered for .* restart guideway-engine"; }
lab_wait_until 5 hung || fail "the status of an engine that hangs: $(lab_cli status)"
equal "problems in JSON" guideway-engine "$(lab_cli status -o json | jq -r '.problems[].object')"
found=$(lab_cli doctor || true)
has "^problem  *engine: the engine hasn't answered for" <<<"$found" || fail "the doctor doesn't see an engine that hangs: $found"
! has 'all of it is in force' <<<"$found" || fail "the doctor takes for granted what a hanging engine hasn't confirmed"
kill -CONT "$engine"
well() { lab_cli status | has '^Problems:    none' && [ "$(servers_behind "$vip" 40)" = 'web2 web3' ]; }
lab_wait_until 5 well || fail "the engine is back, and the drain isn't in force: $(lab_cli status)"
undrained=$(lab_cli undrain 10.77.2.11)
has "^the EndpointSlice's weight holds again instead of 0 for Service lab/.*, Service lab/nat$" <<<"$undrained" ||
  fail "what undrain says: $undrained"
equal "how often its silence is logged, and its end" '1 1' "$(grep -c "hasn't answered for" "$LAB_RUN/log/daemon.log") \
$(grep -c 'the engine answers again' "$LAB_RUN/log/daemon.log")"
