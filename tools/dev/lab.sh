# ./dev lab and ./dev demo: the network of pktgen-tests/lab.sh, left standing or only for as long as the demo takes.

. pktgen-tests/lab.sh

help_lab() {
  cat <<EOF
usage: ./dev lab             bring the network up, with engine and daemon, and leave it standing
       ./dev lab up --bare   the network alone
       ./dev lab status      what stands
       ./dev lab exec SPACE COMMAND...   run a command in client, gateway, router, web1, web2 or web3
       ./dev lab cli ...     the guideway command, told where the lab's daemon listens
       ./dev lab down        take everything away

The network is drawn at the top of pktgen-tests/lab.sh. The manifests in force are in $LAB_RUN/manifests:
edit one and see what changes. Logs are in $LAB_RUN/log.
EOF
}

help_demo() {
  cat <<EOF
usage: ./dev demo

Builds, brings up a network of namespaces with a gateway and three nginx servers, and sends 10,000 requests by curl
through VIPs of each forwarding mode over IPv4 and IPv6, while one server is drained and another is killed and comes
back. Ends with a table of what went where, and takes everything away again. Takes about a minute besides the build.
EOF
}

dev_lab() {
  local word=${1:-up}
  [ $# = 0 ] || shift
  case $word in
  up) lab_word_up "$@" ;;
  down) needs_root "lab down" && lab_down && step "the lab is gone" ;;
  status) lab_status ;;
  exec) [ $# -ge 2 ] || refuse "./dev lab exec SPACE COMMAND..."; needs_standing_lab; lab_in "$@" ;;
  cli) needs_standing_lab; lab_cli "$@" ;;
  *) refuse "./dev lab knows up, down, status, exec and cli, not '$word'" ;;
  esac
}

needs_standing_lab() { lab_stands || fail "no lab stands: run './dev lab' first"; }

lab_word_up() {
  needs_root lab
  local bare=
  case ${1:-} in
  '') ;;
  --bare) bare=yes ;;
  *) refuse "./dev lab up takes --bare, not '$1'" ;;
  esac
  begin_lab
  [ -n "$bare" ] || lab_start_gateway || exit 1
  lab_is_ours=
  lab_keep
  trap - EXIT
  lab_status
  [ -n "$bare" ] || what_to_try
}

# Build, then the network; taken down again if this command ends early.
begin_lab() {
  lab_vacant || exit 1
  ensure_packages
  build_kind release || exit 1
  [ -n "$(trap -p EXIT)" ] || trap lab_ended EXIT  # else it is called there
  trap 'exit 130' INT TERM
  step "bringing the lab up"
  lab_is_ours=yes
  lab_up || exit 1
}

lab_ended() { [ -z "${lab_is_ours:-}" ] || { lab_is_ours=; lab_down; }; }

what_to_try() {
  cat <<EOF

To try next, with the lab standing (./dev lab):
  ./dev lab cli status                      how engine, daemon and sources are
  ./dev lab cli services                    the VIPs, and how many backends each has
  ./dev lab cli backends -o json            every backend, and why it gets traffic or not
  ./dev lab exec client curl http://192.0.2.20/
  edit $LAB_RUN/manifests/dsr-ipip.yaml     and ask again
  ./dev lab down
EOF
}

dev_demo() {
  no_arguments demo "$@"
  needs_root demo
  begin_lab
  step "starting engine and daemon"
  lab_start_gateway || exit 1
  step "sending requests"
  local code=0
  /usr/bin/python3 pktgen-tests/demo/demo.py --run "$LAB_RUN" --prefix "$LAB_PREFIX" || code=$?
  [ "$code" != 130 ] || exit 130
  lab_cli services || code=1
  [ "$code" = 0 ] || tail -n 20 "$LAB_RUN"/log/{engine,daemon}.log >&2
  lab_ended
  trap - EXIT
  what_to_try
  exit "$code"
}
