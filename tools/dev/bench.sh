# ./dev bench: the benchmarks, with hugepages reserved while they run.

help_bench() {
  cat <<EOF
usage: ./dev bench lb [--filter TEXT] [--runs N] [--json FILE]
       ./dev bench churn [--runs N] [--seconds S] [--changes N] [--json FILE]
       ./dev bench flood [--runs N] [--json FILE]
       ./dev bench api [--lab] [--runs N] [--seconds S] [--json FILE]
       ./dev bench xdp [--runs N] [--json FILE]
       ./dev bench idle [--seconds S] [--json FILE]
       ./dev bench maglev [--runs N] [--json FILE]
       ./dev bench commit [--turns N] [--json FILE]
       ./dev bench scale [--services N] [--json FILE]

lb      pushes packets from memory through the real pipeline on one core and prints what each costs, beside the floor
        of the same run (receive, parse and send alone)
churn   the same pipeline on one core, while control applies 1,000 endpoint changes a second on another, in turns with
        runs in which nothing changes: throughput and the p99.9 of a worker's round, and their ratios. Wants two cores
        that do nothing else
flood   unique SYNs at full rate, beside 1,000 connections that must keep their reals; measures no floor
api     the real engine and daemon: what a worker sends while weights and objects are changed over the API 1,000 times a
        second, and while 100,000 connections are listed page by page, beside what it sends at rest. Wants two cores
        likewise, and is root's. With --lab the same load meets the lab's gateway, while iperf3 sends through a VIP at
        a fixed rate, and how much of that arrives
xdp     the XDP program as it balances while no engine listens, and as it drops denied sources, by the kernel's own
        statistics, net of an empty program: one packet a call, flows in random order. Is root's
idle    in the lab: how much of a core the engine takes without traffic, and how long the first packet waits then; root's
maglev  builds Maglev tables
commit  changes manifests of 100 objects under the real guidewayd and guideway-engine, and prints how long after the
        file's close they are in force
scale   writes 10,000 services with ten backends each, and prints how long after the daemon's start they are in force,
        and the memory that daemon and engine took

--json writes the figures to FILE too, a list of records. Those of lb, churn, flood and xdp have scenario,
ns_per_packet, floor_ns_per_packet (churn's is the figure at rest, xdp's the empty program's; flood has none) and
packets, the others have scenario and figures with their units in the name, such as ms, seconds or engine_mib.
lb, flood and commit only count runs in which no other guest shared their cores (those take up to twice as long), and
say how many they are of how many; where it is none, what is shown are all.
As root, 2 MB hugepages are reserved for the run where there are too few, and given back; without them the figures
are worse, and it is said.
EOF
}

BENCH_HUGEPAGES=512  # 1 GB: the connection table of 1 M flows, Maglev tables, packet buffers
HUGEPAGES=/sys/kernel/mm/hugepages/hugepages-2048kB

dev_bench() {
  ensure_packages
  [ $# != 0 ] || set -- lb
  case $1 in
  commit | scale | api | idle) build_kind release || exit 1 ;;
  *) build_kind release pktgen-tests/guideway-bench || exit 1 ;;
  esac
  trap bench_ended EXIT
  trap 'exit 130' INT TERM
  reserve_hugepages
  case $1 in
  api) bench_api "${@:2}" ;;
  idle) bench_idle "${@:2}" ;;
  *) build/pktgen-tests/guideway-bench "$@" ;;
  esac
}

bench_ended() {
  lab_ended
  give_back_hugepages
  [ -z "${bench_state:-}" ] || rm -rf "$bench_state"
}

bench_api() {
  needs_root "bench api"
  local stubs=build/bench-api
  mkdir -p $stubs
  protoc --proto_path=. --python_out=$stubs --grpc_python_out=$stubs \
    --plugin=protoc-gen-grpc_python="$(command -v grpc_python_plugin)" mgmt/api/appliance.proto
  local load=(/usr/bin/python3 -B pktgen-tests/bench/api_load.py $stubs)
  if [ "${1:-}" = --lab ]; then
    begin_lab
    # In memory: each change waits for the disk, and a slow one would make the load smaller.
    bench_state=$(mktemp -d /dev/shm/guideway-api-load-XXXXXX)
    rmdir "$LAB_RUN/daemon" && ln -s "$bench_state" "$LAB_RUN/daemon"
    lab_start_gateway || exit 1
    "${load[@]}" lab "$LAB_RUN" "$LAB_PREFIX" "${@:2}"
  else  # in a network namespace of its own, which has no routes to follow
    # shellcheck disable=SC2016
    unshare -n sh -c 'ip link set lo up && exec "$@"' - "${load[@]}" memory build "$@"
  fi
}

bench_idle() {
  needs_root "bench idle"
  begin_lab
  lab_start_gateway || exit 1
  /usr/bin/python3 -B pktgen-tests/bench/idle.py "$LAB_RUN" "$LAB_PREFIX" "$@"
}

reserve_hugepages() {
  hugepages_before=
  [ -r $HUGEPAGES/free_hugepages ] || { say_error "this kernel has no 2 MB hugepages: the figures will be worse"; return 0; }
  local free total
  free=$(cat $HUGEPAGES/free_hugepages) total=$(cat $HUGEPAGES/nr_hugepages)
  [ "$free" -lt $BENCH_HUGEPAGES ] || return 0
  if [ -w $HUGEPAGES/nr_hugepages ] && echo $((total + BENCH_HUGEPAGES - free)) 2>/dev/null >$HUGEPAGES/nr_hugepages; then
    hugepages_before=$total
  fi
  free=$(cat $HUGEPAGES/free_hugepages)
  [ "$free" -ge $BENCH_HUGEPAGES ] ||
    say_error "only $free of $BENCH_HUGEPAGES hugepages could be reserved: the figures will be worse"
}

give_back_hugepages() {
  [ -z "${hugepages_before:-}" ] || echo "$hugepages_before" >$HUGEPAGES/nr_hugepages || true
  hugepages_before=
}
