# What every namespace test begins with: `. "$(dirname "$0")/prologue.sh"`. The lab is taken down however a test ends.
# A test is a script of its own; it passes by ending with code 0, and is skipped (77) where the machine can't run it.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lab.sh"

say() { printf '%s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*"; exit 1; }
skip() { printf 'skipped: %s\n' "$*"; exit 77; }

[ "$(id -u)" = 0 ] || skip "making network namespaces needs root"

# What a failed test leaves to read: the ends of the logs.
ended() {
  local code=$?
  trap - EXIT INT TERM
  if [ "$code" != 0 ] && [ "$code" != 77 ] && [ -n "${owns_lab:-}" ]; then
    tail -n 15 "$LAB_RUN"/log/*.log "$LAB_RUN"/*/log/*.log 2>/dev/null || true
  fi
  [ -z "${owns_lab:-}" ] || lab_down
  exit "$code"
}
trap ended EXIT
trap 'exit 130' INT TERM

begin() {
  lab_vacant
  owns_lab=yes
  lab_up
}

# An address as it stands in a URL.
in_url() { case $1 in *:*) printf '[%s]' "$1" ;; *) printf '%s' "$1" ;; esac; }

# `get ADDRESS [PATH] [CURL ARGUMENT...]`: a GET from the client; prints the body.
get() {
  local address=$1 path=${2:-/}
  shift $(($# < 2 ? $# : 2))
  lab_in client curl -sS --fail --connect-timeout 3 -m 20 "$@" "http://$(in_url "$address")$path"
}

# `COMMAND | has PATTERN`: reads to the end, where grep -q would leave a long writer with SIGPIPE, and pipefail fails then.
has() { grep "$@" >/dev/null; }

equal() { [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"; }

# `packets NAMESPACE LINK rx|tx`
packets() { lab_in "$1" cat "/sys/class/net/$2/statistics/$3_packets"; }

needs_gateway() {
  local program
  for program in dataplane/guideway-engine mgmt/guidewayd mgmt/guideway; do
    [ -x "$LAB_BUILD/$program" ] || fail "$LAB_BUILD/$program isn't built: run './dev build'"
  done
}

# The servers that answer `count` requests to a VIP, each on a connection of its own: "web1 web2".
servers_behind() {
  local vip=$1 count=${2:-60}
  lab_in client curl -sS --fail --connect-timeout 3 -m 20 -H 'Connection: close' "http://$(in_url "$vip")/?[1-$count]" |
    sort -u | paste -sd' '
}

# As the cluster would: `set_endpoint web1 READY SERVING TERMINATING`, each True or False.
set_endpoint() {
  (cd "$LAB_ROOT/pktgen-tests/demo" && /usr/bin/python3 -B -c "
import endpoints
endpoints.Endpoints('$LAB_RUN/manifests').set('$1', ready=$2, serving=$3, terminating=$4)")
}

# `edit MANIFEST PYTHON`: the expression makes the new text from `text`; whole files only, by rename.
edit() {
  /usr/bin/python3 -B -c "
import os, sys
text = open(sys.argv[1]).read()
open(sys.argv[1] + '.new', 'w').write($2)
os.rename(sys.argv[1] + '.new', sys.argv[1])" "$LAB_RUN/manifests/$1"
}

# Load on a VIP in the background, on connections that stay: `load SECONDS VIP`, then `load_ended` judges it.
load() {
  ip netns exec "$LAB_PREFIX-client" wrk -t 1 -c 20 -d "$1" --timeout 5s "http://$(in_url "$2")/" >"$LAB_RUN/log/wrk.log" 2>&1 &
  load_pid=$!
}

load_ended() {
  wait "$load_pid" || fail "wrk ended with an error: $(cat "$LAB_RUN/log/wrk.log")"
  ! grep -E 'Socket errors|Non-2xx' "$LAB_RUN/log/wrk.log" || fail "requests of the load failed"
  grep 'requests in' "$LAB_RUN/log/wrk.log"
}

# Much of everything to the VIPs of a mode: connections one after the other and side by side, large packets, UDP.
much_to() {
  local vip answers
  for vip in "${LAB_VIP4[$1]}" "${LAB_VIP6[$1]}"; do
    say "$1 $vip"
    # A connection each: 600 one after the other, 300 that stand side by side.
    equal "answers of $vip" 600 "$(lab_in client curl -sS --fail -m 60 -H 'Connection: close' \
      "http://$(in_url "$vip")/?[1-600]" | grep -c '^web')"
    lab_in client wrk -t 1 -c 300 -d 2s --timeout 5s "http://$(in_url "$vip")/" >"$LAB_RUN/log/wrk.log" 2>&1
    ! grep -E 'Socket errors|Non-2xx' "$LAB_RUN/log/wrk.log" || fail "requests to $vip failed: $(cat "$LAB_RUN/log/wrk.log")"
    answers=$(lab_ask "$vip" 500 100) || fail "UDP to $vip: $answers"
    # And large packets both ways at once.
    seq 20 | lab_in client xargs -P 4 -I{} curl -sS --fail -m 60 -o /dev/null "http://$(in_url "$vip")/big" ||
      fail "downloads from $vip failed"
  done
}

# `of_workers .received`: a counter, summed over the workers.
of_workers() { lab_cli status -o json | jq -r ".engine.status.workers | map($1 | tonumber? // 0) | add"; }

# Drops by reason, as the CLI tells them: {"no_route": 12}
dropped() {
  lab_cli status -o json | jq -cS '[.engine.status.drops[]? | {(.reason): (.packets | tonumber)}] | add // {}'
}

# All of the gateway's neighbours (client, web1, web2 and router, in both families) have carried packets of nat once this
# returns. What met one before the engine's control thread had heard of it was dropped and sent again; from here on
# nothing_dropped allows no drop at all.
meet_neighbors() {
  local vip
  for vip in "${LAB_VIP4[nat]}" "${LAB_VIP6[nat]}"; do
    equal "the servers behind $vip" 'web1 web2 web3' "$(servers_behind "$vip")"
  done
  dropped_first=$(dropped)
  equal "drops besides those for a new neighbour" '[]' "$(jq -c 'del(.no_neighbor) | keys' <<<"$dropped_first")"
}

nothing_dropped() { equal "drops since all neighbours are known" "$dropped_first" "$(dropped)"; }
