# The lab: a small network of namespaces with a gateway, three web servers and a client. Sourced, never run.
# It makes and removes namespaces, links and servers; it knows nothing of tests, and starts the engine only when asked.
#
#        gw-client                     gw-gateway                          gw-router
#   ┌──────────────────┐        ┌──────────────────────┐         ┌───────────────────────────┐
#   │ gw0              │        │ cl0             srv0 │  L      │ srv (bridge)              │
#   │ 10.77.1.2        ├────────┤ 10.77.1.1  10.77.2.1 ├─────────┤ 10.77.2.254               │
#   │ fd77:1::2        │  1500  │ fd77:1::1  fd77:2::1 │  1600   │ fd77:2::254         w3    │
#   │                  │        └──────────────────────┘         │  │    │     10.77.3.254    │
#   │ ret0             │                                         │  │    │     fd77:3::254    │
#   │ 10.77.9.2        │          gw-web1    gw-web2    gw-web3  └──┼────┼─────────┬─────────┘
#   │ fd77:9::2        │        ┌─────────┐┌─────────┐┌─────────┐   │    │         │
#   └────────┬─────────┘   eth0 │ .2.11   ││ .2.12   ││ .3.13   │◄──┴────┴─────────┘ (web1 and web2 on L, web3 routed)
#            │             ret0 │ .9.11   ││ .9.12   ││ .9.13   │
#            │                  └────┬────┘└────┬────┘└────┬────┘
#            └──── return leg ───────┴──────────┴──────────┘   a bridge in gw-return, 10.77.9.0/24 and fd77:9::/64:
#                                                              what servers answer to the client, past the gateway
#
#   VIPs are routed to the gateway by the client; they are addresses of no one but the servers (on lo, for DSR):
#     dsr-l2    192.0.2.10   2001:db8::10   port 80           web1 web2
#     dsr-ipip  192.0.2.20   2001:db8::20   port 80           web1 web2 web3
#     dsr-gue   192.0.2.40   2001:db8::40   port 80           web1 web2 web3
#     nat       192.0.2.30   2001:db8::30   port 80 -> 8080   web1 web2 web3
#   and inside the other family, to the servers' addresses of that:
#     dsr-ipip-mixed  192.0.2.21  2001:db8::21      dsr-gue-mixed  192.0.2.41  2001:db8::41
#   On UDP port 7 (nat: -> 7007) of the same addresses answers echo.py: who it is, how much came, from which address.
#   SNAT addresses, dedicated, routed to the gateway by servers and router: 198.51.100.1 and 2001:db8:100::1
#
# The links towards the servers carry 1600 bytes, so that a client's full 1500 fits with an outer header around it.

LAB_PREFIX=${LAB_PREFIX:-gw}
LAB_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
LAB_BUILD=${LAB_BUILD:-$LAB_ROOT/build}
LAB_RUN=/run/guideway-lab
[ "$LAB_PREFIX" = gw ] || LAB_RUN=/run/guideway-lab-$LAB_PREFIX
LAB_FILE=${BASH_SOURCE[0]}  # a lab of another shape sources this one, defines anew what differs, and names itself here

# The gateway in hand; see lab_at.
LAB_GATEWAY=gateway
LAB_HOME=$LAB_RUN
LAB_PINS=$LAB_RUN/bpf/guideway
LAB_TABLES=$LAB_RUN/tables/guideway

# On a core that it shares a worker is away for longer than on its own, and tests count what the engine forwards: 0 has
# the kernel balance only where there is no engine.
LAB_HEARTBEAT=${LAB_HEARTBEAT:-0}
LAB_QUEUES=${LAB_QUEUES:-1}  # of every link: a flow stays in its own all the way

LAB_SPACES=(client gateway router return web1 web2 web3)
LAB_ROUTERS=(gateway router)
LAB_SERVERS=(web1 web2 web3)
declare -A LAB_ADDRESS4=([web1]=10.77.2.11 [web2]=10.77.2.12 [web3]=10.77.3.13)
declare -A LAB_ADDRESS6=([web1]=fd77:2::11 [web2]=fd77:2::12 [web3]=fd77:3::13)
LAB_MODES=(dsr-l2 dsr-ipip dsr-gue nat)
LAB_MIXED=(dsr-ipip-mixed dsr-gue-mixed)
LAB_DSR=(dsr-l2 dsr-ipip dsr-gue "${LAB_MIXED[@]}")
declare -A LAB_VIP4=([dsr-l2]=192.0.2.10 [dsr-ipip]=192.0.2.20 [dsr-ipip-mixed]=192.0.2.21 [nat]=192.0.2.30
  [dsr-gue]=192.0.2.40 [dsr-gue-mixed]=192.0.2.41)
declare -A LAB_VIP6=([dsr-l2]=2001:db8::10 [dsr-ipip]=2001:db8::20 [dsr-ipip-mixed]=2001:db8::21 [nat]=2001:db8::30
  [dsr-gue]=2001:db8::40 [dsr-gue-mixed]=2001:db8::41)
LAB_SNAT4=198.51.100.1
LAB_SNAT6=2001:db8:100::1
LAB_GATEWAY4=10.77.1.1
LAB_GATEWAY6=fd77:1::1

lab_say() { printf 'lab: %s\n' "$*" >&2; }

# Runs a command in a namespace of the lab: `lab_in web1 ip link`.
lab_in() {
  local space=$1
  shift
  ip netns exec "$LAB_PREFIX-$space" "$@"
}

lab_stands() { [ -d "$LAB_RUN" ]; }

# Whether none stands; what a killed owner left of one is taken down.
lab_vacant() {
  lab_stands || return 0
  local owner
  if owner=$(cat "$LAB_RUN/owner" 2>/dev/null) && ! kill -0 "$owner" 2>/dev/null; then
    lab_say "taking down what process $owner left of its lab"
    lab_down
    return 0
  fi
  lab_say "a lab stands already ($LAB_RUN): take it down with './dev lab down' first"
  return 1
}

# A lab lives as long as the script that brought it up, until this is called.
lab_keep() { rm "$LAB_RUN/owner"; }

# Everything, or nothing: what fails half way is taken down again.
lab_up() {
  [ "$(id -u)" = 0 ] || { lab_say "making network namespaces needs root: run it with sudo"; return 1; }
  lab_vacant && mkdir "$LAB_RUN" || return 1
  echo $$ >"$LAB_RUN/owner"
  # In a shell of its own: called from an `if` or `||`, `set -e` would be off in all that it calls.
  if LAB_PREFIX=$LAB_PREFIX LAB_BUILD=$LAB_BUILD LAB_QUEUES=$LAB_QUEUES bash -euo pipefail -c '. "$0"; lab_build' "$LAB_FILE"; then
    return 0
  fi
  lab_say "it could not be set up; what stood of it is removed"
  lab_down
  return 1
}

lab_build() {
  mkdir -p "$LAB_RUN"/{pids,log,bpf,tables}
  mount -t bpf bpf "$LAB_RUN/bpf"  # `ip netns exec` hides /sys/fs/bpf
  mount -t tmpfs -o mode=700 tables "$LAB_RUN/tables"  # /run isn't one everywhere
  lab_make_spaces
  lab_make_links
  lab_make_addresses
  lab_make_routes
  lab_make_homes
  local server
  for server in "${LAB_SERVERS[@]}"; do
    lab_attach_decap "$server"
    lab_start_server "$server"
  done
  lab_wait_for_servers
}

lab_make_homes() {
  lab_make_home
  lab_start_sshd
}

# Where the gateway in hand keeps what is its own.
lab_make_home() {
  mkdir -p "$LAB_HOME"/{pids,log,manifests,engine,daemon}
  cp "$LAB_ROOT"/configs/lab/*.yaml "$LAB_HOME/manifests/"
}

# `lab_at gw1 lab_start_engine`: a function for another gateway than `gateway`, in labs that have more.
lab_at() {
  local LAB_GATEWAY=$1 LAB_HOME=$LAB_RUN/$1 LAB_PINS=$LAB_RUN/bpf/$1 LAB_TABLES=$LAB_RUN/tables/$1
  shift
  "$@"
}

lab_make_spaces() {
  local space
  for space in "${LAB_SPACES[@]}"; do
    ip netns add "$LAB_PREFIX-$space"
    lab_in "$space" sysctl -q -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
      net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_ra=0
    lab_in "$space" ip link set lo up
  done
  for space in "${LAB_ROUTERS[@]}"; do
    lab_in "$space" sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
  done
  for space in "${LAB_SERVERS[@]}"; do  # with VIPs on lo a server neither answers ARP for them nor asks with them
    lab_in "$space" sysctl -q -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
  done
}

# A pair of links; AF_XDP must see finished checksums and no oversized segments, so no end leaves work to a NIC.
lab_pair() {
  local space_a=$1 name_a=$2 space_b=$3 name_b=$4 mtu=$5
  local queues=(numrxqueues "$LAB_QUEUES" numtxqueues "$LAB_QUEUES")
  ip link add "$name_a" netns "$LAB_PREFIX-$space_a" mtu "$mtu" "${queues[@]}" type veth \
    peer name "$name_b" netns "$LAB_PREFIX-$space_b" mtu "$mtu" "${queues[@]}"
  # XDP can send by an end of a veth if the other one receives as NAPI does (GRO); asked when that end comes up.
  lab_in "$space_a" ethtool -K "$name_a" tx off tso off gso off gro on >/dev/null
  lab_in "$space_b" ethtool -K "$name_b" tx off tso off gso off gro on >/dev/null
  lab_in "$space_a" ip link set "$name_a" up
  lab_in "$space_b" ip link set "$name_b" up
}

# The kernel forgets neighbours to which it hasn't sent itself for this long, and only the engine sends to the client.
# It begins at a number of neighbours (gc_thresh1) that all namespaces of the machine share.
lab_keep_neighbors() {
  lab_in "$1" sysctl -q -w "net.ipv4.neigh.$2.gc_stale_time=86400" "net.ipv6.neigh.$2.gc_stale_time=86400"
}

lab_bridge() {
  lab_in "$1" ip link add "$2" mtu "$3" type bridge
  lab_in "$1" ip link set "$2" up
}

lab_make_links() {
  lab_pair client gw0 gateway cl0 1500
  lab_bridge router srv 1600
  lab_pair gateway srv0 router gateway 1600
  lab_keep_neighbors gateway cl0
  lab_pair web1 eth0 router web1 1600
  lab_pair web2 eth0 router web2 1600
  lab_pair web3 eth0 router w3 1600
  lab_bridge return back 1500
  local space
  for space in gateway web1 web2; do lab_in router ip link set "$space" master srv; done
  for space in client "${LAB_SERVERS[@]}"; do
    lab_pair "$space" ret0 return "$space" 1500
    lab_in return ip link set "$space" master back
  done
}

lab_address() {  # NAMESPACE LINK IPV4/LENGTH IPV6/LENGTH
  lab_in "$1" ip address add "$3" dev "$2"
  lab_in "$1" ip -6 address add "$4" dev "$2" nodad
}

lab_make_addresses() {
  lab_address client gw0 10.77.1.2/24 fd77:1::2/64
  lab_address gateway cl0 $LAB_GATEWAY4/24 $LAB_GATEWAY6/64
  lab_address gateway srv0 10.77.2.1/24 fd77:2::1/64
  lab_address router srv 10.77.2.254/24 fd77:2::254/64
  lab_address router w3 10.77.3.254/24 fd77:3::254/64
  lab_address client ret0 10.77.9.2/24 fd77:9::2/64
  lab_make_server_addresses
}

lab_make_server_addresses() {
  local server mode
  for server in "${LAB_SERVERS[@]}"; do
    lab_address "$server" eth0 "${LAB_ADDRESS4[$server]}/24" "${LAB_ADDRESS6[$server]}/64"
    lab_address "$server" ret0 "10.77.9.1${server#web}/24" "fd77:9::1${server#web}/64"
    for mode in "${LAB_DSR[@]}"; do
      lab_address "$server" lo "${LAB_VIP4[$mode]}/32" "${LAB_VIP6[$mode]}/128"
    done
  done
}

lab_route() {  # NAMESPACE GATEWAY4 GATEWAY6 PREFIX...
  local space=$1 via4=$2 via6=$3 prefix
  shift 3
  for prefix in "$@"; do
    case $prefix in
    *:*) lab_in "$space" ip -6 route add "$prefix" via "$via6" ;;
    *) lab_in "$space" ip route add "$prefix" via "$via4" ;;
    esac
  done
}

lab_make_routes() {
  local server
  lab_route client $LAB_GATEWAY4 $LAB_GATEWAY6 192.0.2.0/24 2001:db8::/64 10.77.2.0/23 fd77:2::/64 fd77:3::/64
  lab_route gateway 10.77.2.254 fd77:2::254 10.77.3.0/24 fd77:3::/64
  lab_route router 10.77.2.1 fd77:2::1 $LAB_SNAT4/32 $LAB_SNAT6/128 10.77.1.0/24 fd77:1::/64
  for server in web1 web2; do
    lab_route $server 10.77.2.1 fd77:2::1 $LAB_SNAT4/32 $LAB_SNAT6/128
    lab_route $server 10.77.2.254 fd77:2::254 10.77.3.0/24 fd77:3::/64
  done
  lab_route web3 10.77.3.254 fd77:3::254 $LAB_SNAT4/32 $LAB_SNAT6/128 10.77.2.0/24 fd77:2::/64
  for server in "${LAB_SERVERS[@]}"; do
    lab_route "$server" 10.77.9.2 fd77:9::2 10.77.1.0/24 fd77:1::/64
  done
}

# The kernel of a server may have no ipip device, so an XDP program takes the outer header off.
lab_attach_decap() {
  local object=$LAB_BUILD/pktgen-tests/decap/decap.bpf.o
  [ -f "$object" ] || { lab_say "$object isn't built: run './dev build'"; return 1; }
  lab_in "$1" ip link set dev eth0 xdpdrv object "$object" section xdp
}

# web1 answers GET / with its name; /big is the same 1 MB everywhere, /steady takes 2.5 s over it and /slow 25 s;
# /client tells the address that asks; /upload takes what it is sent.
lab_start_server() {
  lab_start_nginx "$1"
  lab_start_echo "$1"
}

lab_start_nginx() {
  local server=$1 home=$LAB_RUN/$1
  mkdir -p "$home/www" "$home/tmp"
  chmod 755 "$LAB_RUN" "$home" "$home/www"
  lab_big_file >"$home/www/big"
  cat >"$home/nginx.conf" <<EOF
worker_processes 1;
user www-data;
pid $LAB_RUN/pids/nginx-$server;
error_log $LAB_RUN/log/nginx-$server.log;
events { worker_connections 1024; }
http {
  access_log off;
  default_type text/plain;
  client_max_body_size 64m;
  client_body_temp_path $home/tmp/body;
  proxy_temp_path $home/tmp/proxy;
  fastcgi_temp_path $home/tmp/fastcgi;
  uwsgi_temp_path $home/tmp/uwsgi;
  scgi_temp_path $home/tmp/scgi;
  server {
    listen 80 backlog=1024;
    listen [::]:80 backlog=1024;
    listen 8080 backlog=1024;
    listen [::]:8080 backlog=1024;
    root $home/www;
    add_header X-Server $server always;
    location = / { return 200 "$server\n"; }
    location = /steady { alias $home/www/big; limit_rate 400k; }
    location = /slow { alias $home/www/big; limit_rate 40k; }
    location = /client { return 200 "\$remote_addr\n"; }
    location = /upload { return 200 "\$content_length\n"; }
  }
}
EOF
  rm -f "$LAB_RUN/pids/nginx-$server"
  lab_in "$server" nginx -e "$LAB_RUN/log/nginx-$server.log" -p "$home" -c "$home/nginx.conf" </dev/null
}

# One process with a socket for each address, so that answers come from the address that was asked.
lab_start_echo() {
  local server=$1 mode addresses=("${LAB_ADDRESS4[$1]}" "${LAB_ADDRESS6[$1]}")
  for mode in "${LAB_DSR[@]}"; do addresses+=("${LAB_VIP4[$mode]}" "${LAB_VIP6[$mode]}"); done
  ip netns exec "$LAB_PREFIX-$server" /usr/bin/python3 -B "$LAB_ROOT/pktgen-tests/echo.py" serve "$server" 7,7007 "${addresses[@]}" \
    >"$LAB_RUN/log/echo-$server.log" 2>&1 </dev/null &
  echo $! >"$LAB_RUN/pids/echo-$server"
}

# `lab_ask ADDRESS COUNT SIZE` from the client: what came back, sorted and counted ("12 web1 1472 10.77.1.2").
lab_ask() { lab_in client /usr/bin/python3 -B "$LAB_ROOT/pktgen-tests/echo.py" ask "$1" 7 "$2" "$3"; }

lab_big_file() { seq 1000000 9999999 | head -c 1000000 || true; }

# As a power cut would: no FIN, no goodbye from the server's programs.
lab_kill_server() {
  local pids
  pids=$(ip netns pids "$LAB_PREFIX-$1")
  # shellcheck disable=SC2086
  [ -z "$pids" ] || kill -9 $pids
}

# A real sshd at the gateway's own address, to show that the host's own traffic goes on.
lab_start_sshd() {
  local home=$LAB_RUN/ssh
  command -v /usr/sbin/sshd >/dev/null || { lab_say "no sshd here: install openssh-server"; return 1; }
  mkdir -p "$home" /run/sshd
  ssh-keygen -q -t ed25519 -N '' -f "$home/host_key"
  ssh-keygen -q -t ed25519 -N '' -f "$home/client_key"
  cp "$home/client_key.pub" "$home/authorized_keys"
  cat >"$home/sshd_config" <<EOF
Port 22
HostKey $home/host_key
PidFile $LAB_RUN/pids/sshd
AuthorizedKeysFile $home/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
StrictModes no
UseDNS no
EOF
  lab_in gateway /usr/sbin/sshd -f "$home/sshd_config" -E "$LAB_RUN/log/sshd.log" </dev/null
}

# `lab_ssh ADDRESS COMMAND` from the client.
lab_ssh() {
  local address=$1
  shift
  lab_in client ssh -n -F none -i "$LAB_RUN/ssh/client_key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
    -o LogLevel=ERROR -o BatchMode=yes -o ConnectTimeout=5 "root@$address" "$@"
}

lab_wait_for_servers() {
  local server
  for server in "${LAB_SERVERS[@]}"; do
    lab_wait_until 10 lab_in "$server" curl -sf -o /dev/null http://127.0.0.1/ ||
      { lab_say "nginx of $server doesn't answer; see $LAB_RUN/log/nginx-$server.log"; return 1; }
    lab_wait_until 10 grep -q ready "$LAB_RUN/log/echo-$server.log" ||
      { lab_say "echo.py of $server doesn't start; see $LAB_RUN/log/echo-$server.log"; return 1; }
  done
}

# `lab_wait_until SECONDS COMMAND...`: until the command succeeds.
lab_wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.1
  done
}

lab_engine_command() {  # [ARGUMENT...]
  LAB_ENGINE=("$LAB_BUILD/dataplane/guideway-engine" --port af_xdp:cl0 --port af_xdp:srv0 --yield
    --heartbeat-ms "$LAB_HEARTBEAT" --socket "$LAB_HOME/engine.sock" --state-dir "$LAB_HOME/engine" --bpffs "$LAB_PINS"
    --table-dir "$LAB_TABLES" "$@")
}

# Engine and daemon, with everything that they keep in the home of the gateway in hand. `lab_start_engine [ARGUMENT...]`.
# (Not by lab_in: in the background a function is a shell of its own, and $! would be that shell.)
lab_start_engine() {
  lab_engine_command "$@"
  ip netns exec "$LAB_PREFIX-$LAB_GATEWAY" "$LAB_ROOT/pktgen-tests/supervise.sh" "$LAB_HOME/pids/engine" \
    "${LAB_ENGINE[@]}" >>"$LAB_HOME/log/engine.log" 2>&1 </dev/null &
  echo $! >"$LAB_HOME/pids/supervisor"
}

lab_start_daemon() {  # [ARGUMENT...]
  ip netns exec "$LAB_PREFIX-$LAB_GATEWAY" "$LAB_BUILD/mgmt/guidewayd" --manifests "$LAB_HOME/manifests" --state-dir "$LAB_HOME/daemon" \
    --engine "$LAB_HOME/engine.sock" --listen "unix:$LAB_HOME/guideway.sock" "$@" \
    >>"$LAB_HOME/log/daemon.log" 2>&1 </dev/null &
  echo $! >"$LAB_HOME/pids/daemon"
}

lab_cli() { "$LAB_BUILD/mgmt/guideway" --server "unix:$LAB_HOME/guideway.sock" "$@"; }

# A VIP that answers tells that engine and daemon agree: nothing else would carry the packet there.
lab_gateway_answers() {
  local vip
  for vip in "${LAB_VIP4[@]}" "${LAB_VIP6[@]}"; do
    case $vip in *:*) vip="[$vip]" ;; esac
    lab_in client curl -sf -o /dev/null -m 2 "http://$vip/" || return 1
  done
}

# The daemon answers, and the engine through it.
lab_engine_tells() { lab_cli status -o json | jq -e .engine.status; }

lab_start_gateway() {
  lab_start_engine "$@"
  lab_start_daemon
  if ! lab_wait_until 30 lab_engine_tells || ! lab_wait_until 30 lab_gateway_answers; then
    lab_say "the gateway doesn't answer; the ends of its logs in $LAB_HOME/log:"
    tail -n 20 "$LAB_HOME"/log/{engine,daemon}.log >&2 || true
    return 1
  fi
}

lab_stop() {  # NAME of a process with a file in pids/
  local file=$LAB_RUN/pids/$1
  [ -f "$file" ] || return 0
  kill "$(cat "$file")" 2>/dev/null || true
  rm -f "$file"
}

# Safe to repeat, and after anything. The processes are all that live in our namespaces: nobody else's can.
lab_down() {
  local space
  lab_stop daemon
  lab_stop supervisor
  for space in "${LAB_SPACES[@]}"; do
    [ -e "/run/netns/$LAB_PREFIX-$space" ] || continue
    lab_end_all "$space"
    ip netns delete "$LAB_PREFIX-$space"
  done
  if mountpoint -q "$LAB_RUN/bpf"; then
    rm -rf "$LAB_RUN"/bpf/*/  # a pinned link outlives its owner
    umount "$LAB_RUN/bpf"
  fi
  ! mountpoint -q "$LAB_RUN/tables" || umount "$LAB_RUN/tables"
  rm -rf "$LAB_RUN"
}

# First asks, then kills. (Not `kill -0`: it finds children of ours that ended and wait to be collected.)
lab_end_all() {
  local deadline=$((SECONDS + 3)) signal=TERM pids
  while pids=$(ip netns pids "$LAB_PREFIX-$1" 2>/dev/null) && [ -n "$pids" ]; do
    # shellcheck disable=SC2086
    kill -$signal $pids 2>/dev/null || true
    sleep 0.1
    [ "$SECONDS" -lt "$deadline" ] || signal=KILL
  done
}

lab_status() {
  lab_stands || { echo "no lab stands"; return 0; }
  echo "the lab stands in $LAB_RUN"
  local space
  for space in "${LAB_SPACES[@]}"; do
    printf '  %-14s %s\n' "$LAB_PREFIX-$space" "$(ip netns pids "$LAB_PREFIX-$space" 2>/dev/null |
      xargs -r -n1 -I{} cat /proc/{}/comm 2>/dev/null | sort | uniq -c | awk '{printf "%s%s", sep, $2; sep=", "}')"
  done
}
