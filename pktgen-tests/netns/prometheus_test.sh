#!/usr/bin/env bash
# A real Prometheus scrapes the daemon: what it stores are the counts that the CLI tells, and the Grafana dashboard's every
# expression and variable finds something there.
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
lab_start_gateway --workers 2 || fail "the gateway doesn't start"
lab_stop daemon
no_daemon() { ! lab_cli status; }
lab_wait_until 10 no_daemon || fail "the daemon doesn't stop"
lab_start_daemon --metrics 127.0.0.1:9964
lab_wait_until 10 lab_engine_tells || fail "the daemon doesn't answer with --metrics"
mkdir "$LAB_RUN/prometheus"
cat >"$LAB_RUN/prometheus/prometheus.yml" <<EOF
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs: [{job_name: guideway, static_configs: [{targets: ['127.0.0.1:9964']}]}]
EOF
ip netns exec "$LAB_PREFIX-gateway" prometheus --config.file="$LAB_RUN/prometheus/prometheus.yml" \
  --storage.tsdb.path="$LAB_RUN/prometheus/data" --web.listen-address=127.0.0.1:9090 \
  >"$LAB_RUN/log/prometheus.log" 2>&1 </dev/null &

# `query PROMQL`: the answer's series, as JSON. `value PROMQL`: that of the only one, a whole number.
query() {
  lab_in gateway curl -sS -G http://127.0.0.1:9090/api/v1/query --data-urlencode "query=$1" |
    jq -ce 'if .status == "success" then .data.result else error(.error) end'
}
value() { query "$1" | jq -r 'if length == 1 then .[0].value[1] | tonumber | floor else "\(length) series" end'; }
is() { [ "$(value "$1" 2>/dev/null)" = "$2" ]; }
will_be() { lab_wait_until 30 is "$1" "$2" || fail "$1 is $(value "$1") in Prometheus, not $2"; }

say "metrics by Prometheus's rules"
lint=$(lab_in gateway curl -sS --fail http://127.0.0.1:9964/metrics | promtool check metrics 2>&1) || fail "promtool: $lint"
equal "what promtool finds" "" "$lint"

say "the counts"
will_be 'up{job="guideway"}' 1
will_be guideway_engine_connected 1
vip=${LAB_VIP4[nat]}
connections="sum(guideway_vip_connections_total{vip=\"$vip\",port=\"80\"})"
before=$(value "$connections")
lab_in client curl -sS --fail -o /dev/null -m 60 -H 'Connection: close' "http://$(in_url "$vip")/?[1-300]"
will_be "$connections" $((before + 300))
packets=$(lab_cli services -o json | jq --arg vip "$vip" '.services[] | select(.vip == $vip and .port == 80) | .counters.packets | tonumber')
will_be "sum(guideway_vip_packets_total{vip=\"$vip\",port=\"80\",direction=\"forward\"})" "$packets"
will_be "count(guideway_vip_programmed == 1)" "$(lab_cli services -o json | jq '.services | length')"

say "a server goes"
set_endpoint web1 False False False
will_be "guideway_vip_backends{vip=\"$vip\",port=\"80\",state=\"ready\"}" 2
set_endpoint web1 True True False
will_be "guideway_vip_backends{vip=\"$vip\",port=\"80\",state=\"ready\"}" 3

say "the dashboard"
dashboard=$LAB_ROOT/configs/grafana/guideway.json
as_grafana_asks() { sed 's/\$__rate_interval/10s/g; s/\$\(instance\|namespace\|service\)\b/.*/g'; }
finds() { query "$1" | jq -e 'length > 0 and all(.[]; .value[1] != "NaN")' >/dev/null; }
expressions=$(jq -r '.panels[].targets[]?.expr' "$dashboard" | as_grafana_asks)
variables=$(jq -r '.templating.list[] | select(.type == "query") | .query.query' "$dashboard" |
  sed -n 's/^label_values(\(.*\), \([a-z_]*\))$/count by (\2) (\1) > 0/p' | as_grafana_asks)
equal "variables of the dashboard" 3 "$(wc -l <<<"$variables")"
while IFS= read -r expression; do
  finds "$expression" || fail "the dashboard asks '$expression', and Prometheus has: $(query "$expression" 2>&1)"
done <<<"$expressions"$'\n'"$variables"
say "$(wc -l <<<"$expressions") expressions find something"
# Everything that is exported but what the engine's restart is told by can be seen there.
for name in $(lab_in gateway curl -sS http://127.0.0.1:9964/metrics | sed -n 's/^# TYPE \(guideway_[a-z_]*\) .*/\1/p'); do
  case $name in guideway_build_info | guideway_vips | guideway_engine_uptime_seconds) continue ;; esac
  has -w "$name" <<<"$expressions" || fail "$name is exported, and on no panel"
done

say "the engine goes"
kill -STOP "$(cat "$LAB_RUN/pids/supervisor")"
kill -9 "$(cat "$LAB_RUN/pids/engine")"
will_be guideway_engine_connected 0
is 'up{job="guideway"}' 1 || fail "without an engine the daemon isn't scraped any more"
kill -CONT "$(cat "$LAB_RUN/pids/supervisor")"
will_be guideway_engine_connected 1
