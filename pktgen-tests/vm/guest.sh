# What happens in the machine of package_test.sh: the package is installed, configured, started, used, upgraded, removed and
# purged, and each time the machine is looked at. Run as root by systemd; the last line says how it ended.
#
#    namespace client ── cl0 (10.0.1.0/24) ── guideway-engine ── srv0 (10.0.2.0/24) ── namespace server (nginx)
#    VIP 192.0.2.10:80 → 10.0.2.2:8080 by nat, from 198.51.100.1
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
export SYSTEMD_BUS_TIMEOUT=300  # seconds; emulated machines are slow

say() { printf '[%s s] %s\n' "$(cut -d. -f1 /proc/uptime)" "$*"; }
fail() {
  say "FAILED: $*"
  journalctl --no-pager -n 60 -u 'guideway*' -u 'run-guideway*' || true
  exit 1
}
equal() { [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"; }
within() {  # SECONDS COMMAND...
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || return 1
    sleep 0.5
  done
}
has() { grep "$@" >/dev/null; }
# apt would call it likewise, after some seconds of thought in an emulated machine.
package() {
  dpkg --force-confdef --force-confold --force-unsafe-io "$@" >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log; fail "dpkg $*"; }
}
pid_of() { systemctl show -P MainPID "$1"; }
active() { systemctl is-active -q "$1"; }
answers() { [ "$(ip netns exec client curl -s -m 2 http://192.0.2.10/)" = server ]; }

# What a package could leave: files (of file systems that last), units among them, and mounts.
files() { find / -xdev -path /tmp -prune -o -path /var/log -prune -o -path /var/cache -prune -o -path /var/lib/dpkg -prune \
  -o -path /var/lib/apt -prune -o -path /root -prune -o -path /mnt -prune -o -print; }
machine() {
  {
    files
    findmnt -rno TARGET,FSTYPE
    find /run/guideway /sys/fs/bpf 2>/dev/null || true
  } | sort
}

say "Linux $(uname -r)"
machine >/tmp/before

say "installed: the daemon runs, the engine waits to be told its ports"
package --install /mnt/first.deb
version=$(dpkg-query -W -f '${Version}' guideway)
for program in guideway guidewayd guideway-engine; do
  "$program" --version | has "${version%%[-+]*}" || fail "$program --version"
done
within 60 guideway status || fail "the daemon doesn't answer"
! active guideway-engine || fail "the engine runs without ports"
equal "failed units" "" "$(systemctl list-units --failed --no-legend 'guideway*' 'run-guideway*')"
journalctl -u guideway-engine | has 'OPTIONS in /etc/default/guideway-engine names no --port' ||
  fail "it isn't said why the engine doesn't start"
for unit in guidewayd guideway-engine; do equal "$unit" enabled "$(systemctl is-enabled $unit)"; done
dpkg -L guideway >/tmp/shipped
for file in man/man1/guideway.1.gz man/man8/guidewayd.8.gz man/man8/guideway-engine.8.gz \
  bash-completion/completions/guideway zsh/vendor-completions/_guideway fish/vendor_completions.d/guideway.fish \
  doc/guideway/operations.md.gz doc/guideway/examples; do
  has "/usr/share/$file" </tmp/shipped || fail "no $file in the package"
done
for program in guideway guidewayd guideway-engine; do
  has "/usr/share/bash-completion/completions/$program" </tmp/shipped || fail "no completion of $program in the package"
done
# shellcheck disable=SC2016
completed=$(bash -c '. /usr/share/bash-completion/completions/guideway
  COMP_WORDS=(guideway serv) COMP_CWORD=1
  _guideway
  echo "${COMPREPLY[0]}"')
equal "the completion of 'guideway serv'" services "${completed%% *}"
for unit in guidewayd guideway-engine; do
  systemctl show $unit >/tmp/unit
  for property in ProtectSystem=strict ProtectHome=yes PrivateTmp=yes PrivateDevices=yes MemoryDenyWriteExecute=yes \
    NoNewPrivileges=yes RestrictSUIDSGID=yes ProtectKernelModules=yes ProtectKernelTunables=yes LockPersonality=yes; do
    has -x $property </tmp/unit || fail "$unit hasn't $property"
  done
  has '^RestrictAddressFamilies=.' </tmp/unit || fail "$unit may open sockets of any family"
done
order=$(systemd-analyze verify default.target guideway-engine.service guidewayd.service 2>&1 || true)
! grep -i 'cycle\|guideway' <<<"$order" || fail "systemd objects to the units"
equal "the sockets' directory" "1770 root guideway" "$(stat -c '%a %U %G' /run/guideway)"

say "configured and started"
modprobe veth
for space in client server; do
  ip netns add $space
  ip -n $space link set lo up
done
ip link add cl0 type veth peer name eth0 netns client
ip link add srv0 type veth peer name eth0 netns server
for link in cl0 srv0; do
  ip link set $link up
  ethtool -K $link tx off tso off gso off >/dev/null
done
for space in client server; do
  ip -n $space link set eth0 up
  ip netns exec $space ethtool -K eth0 tx off tso off gso off >/dev/null
done
ip address add 10.0.1.1/24 dev cl0
ip address add 10.0.2.1/24 dev srv0
ip -n client address add 10.0.1.2/24 dev eth0
ip -n server address add 10.0.2.2/24 dev eth0
ip -n client route add default via 10.0.1.1
ip -n server route add default via 10.0.2.1
sysctl -qw net.ipv4.ip_forward=1 vm.nr_hugepages=300
cat >/tmp/nginx.conf <<EOF
pid /tmp/nginx.pid;
events {}
http {
  access_log off;
  client_body_temp_path /tmp/nginx-body;
  proxy_temp_path /tmp/nginx-proxy;
  fastcgi_temp_path /tmp/nginx-fastcgi;
  uwsgi_temp_path /tmp/nginx-uwsgi;
  scgi_temp_path /tmp/nginx-scgi;
  client_header_timeout 1000s;
  server {
    listen 8080;
    location = / { return 200 "server\n"; }
  }
}
EOF
ip netns exec server nginx -e /tmp/nginx.log -c /tmp/nginx.conf
sed -e '/addresses: \[10.0.0.12\]/,$d' -e 's/10\.0\.0\.11/10.0.2.2/' \
  /etc/guideway/manifests/web.yaml.example >/etc/guideway/manifests/web.yaml
options='--port af_xdp:cl0 --port af_xdp:srv0 --connections 65536 --yield'
sed -i "s/^OPTIONS=.*/OPTIONS=\"$options\"/" /etc/default/guideway-engine
systemctl start guideway-engine
within 120 answers || { guideway status || true; fail "the VIP doesn't answer"; }
guideway status
equal "who serves the VIP" 1 "$(guideway services -o json | jq '.services | length')"
equal "the tables' pages" true "$(guideway status -o json | jq .engine.status.hugepages)"
active run-guideway-bpf.mount && [ -e /run/guideway/bpf/cl0/link ] ||
  fail "the program isn't pinned: $(find /run/guideway)"

findmnt -no FSTYPE,OPTIONS /run/guideway/tables/huge | has 'hugetlbfs.*pagesize=2M' || fail "no hugetlbfs for the tables"
[ -s /run/guideway/tables/huge/worker0.ipv4 ] && [ -s /run/guideway/tables/rows ] ||
  fail "the tables aren't in files: $(find /run/guideway/tables)"

say "privileges"
status_of() { awk -v name="$2:" '$1 == name {print $2}' /proc/"$1"/task/*/status | sort -u | paste -sd' '; }
none=0000000000000000
engine=$(pid_of guideway-engine) daemon=$(pid_of guidewayd)
four=$(printf '%016x' $((1 << 12 | 1 << 13 | 1 << 14 | 1 << 39)))
for set in CapEff CapPrm; do equal "$set of the engine" "$four" "$(status_of "$engine" $set)"; done
for set in CapBnd CapInh CapAmb; do equal "$set of the engine" $none "$(status_of "$engine" $set)"; done
for set in CapEff CapPrm CapBnd CapInh CapAmb; do equal "$set of the daemon" $none "$(status_of "$daemon" $set)"; done
for pid in "$engine" "$daemon"; do
  equal "Seccomp of $pid" 2 "$(status_of "$pid" Seccomp)"
  equal "NoNewPrivs of $pid" 1 "$(status_of "$pid" NoNewPrivs)"
done
equal "the daemon's user" guideway "$(ps -o user= -p "$daemon")"
doctor=$(guideway doctor) || fail "the doctor finds problems: $doctor"
has 'privileges: the engine has what it needs' <<<"$doctor" || fail "$doctor"
setpriv --reuid nobody --regid guideway --clear-groups guideway status >/dev/null ||
  fail "a user of group guideway can't ask"
! setpriv --reuid nobody --regid nogroup --clear-groups guideway status >/dev/null 2>&1 ||
  fail "anybody can ask"

say "a killed engine is started again, takes its program over, and a connection by nat goes on"
ip netns exec client timeout 900 bash -c '
  exec 3<>/dev/tcp/192.0.2.10/80
  touch /tmp/connected
  until [ -e /tmp/upgraded ]; do sleep 0.2; done
  printf "GET / HTTP/1.0\r\n\r\n" >&3
  timeout 30 cat <&3' >/tmp/answer &
connection=$!
within 60 test -e /tmp/connected || fail "no connection"
link() { ip -o link show cl0 | grep -o ' xdp'; }
link >/dev/null || fail "no XDP program: $(ip link show cl0)"
kill -9 "$engine"
again() { [ "$(pid_of guideway-engine)" != "$engine" ] && answers; }
within 120 again || fail "it isn't"
link >/dev/null || fail "the program is gone"
engine=$(pid_of guideway-engine)
kill "$engine"  # as somebody might by mistake: it isn't systemd that asks
within 120 again || fail "an engine that ended well isn't started again"
engine=$(pid_of guideway-engine)

say "upgraded, and then the engine too, while that connection stands"
package --install /mnt/next.deb
equal "the version" "$version+next" "$(dpkg-query -W -f '${Version}' guideway)"
equal "the engine" "$engine" "$(pid_of guideway-engine)"
within 60 guideway status || fail "the daemon doesn't answer"
[ "$(pid_of guidewayd)" != "$daemon" ] || fail "the daemon is still the old one"
has -F "OPTIONS=\"$options\"" </etc/default/guideway-engine || fail "the configuration of the engine was overwritten"
has 'A new default' </etc/default/guidewayd || fail "what nobody had changed isn't the new version's"
[ -s /etc/guideway/manifests/web.yaml ] || fail "the manifest is gone"
for turn in 1 2; do  # by an engine that systemd started, and by one that came by an upgrade
  told=$(guideway upgrade-engine) || fail "the engine isn't upgraded in turn $turn: $told"
  has '^guideway-engine .* → .*, up for' <<<"$told" || fail "$told"
  within 10 active guideway-engine && [ "$(pid_of guideway-engine)" != 0 ] || fail "systemd has lost the engine of turn $turn"
  [ "$(pid_of guideway-engine)" != "$engine" ] || fail "the engine is still the old one"
  ! [ -e "/proc/$engine" ] || fail "the old engine is still there"
  answers || fail "the VIP doesn't answer after the engine's upgrade"
  engine=$(pid_of guideway-engine)
done
touch /tmp/upgraded
wait $connection && has -x server </tmp/answer || fail "the connection broke: $(cat /tmp/answer)"

say "an engine that can't start leaves the one that runs in its place"
sed -i "s/^OPTIONS=.*/OPTIONS=\"$options --port af_xdp:nowhere0\"/" /etc/default/guideway-engine
! told=$(guideway upgrade-engine 2>&1) || fail "it is upgraded to one that can't start: $told"
has 'journalctl -u guideway-engine' <<<"$told" || fail "$told"
journalctl -u guideway-engine | has 'nowhere0' || fail "it isn't said why"
sed -i "s/^OPTIONS=.*/OPTIONS=\"$options\"/" /etc/default/guideway-engine
equal "the engine" "$engine" "$(pid_of guideway-engine)"
answers || fail "the VIP doesn't answer"
systemctl restart guideway-engine
within 120 answers || fail "the VIP doesn't answer after the engine's restart"

# Of the engine's system calls none was refused, and systemd understood all of the units.
! dmesg | grep 'type=1326.*guideway' || fail "system calls were refused"
! journalctl -b | grep -E '/[^ ]*guideway[^ ]*:[0-9]+:' || fail "units with faults"

say "removed: nothing runs or is mounted, and the configuration stays"
package --remove guideway
! ip -o link show cl0 | has xdp || fail "the XDP program is left"
! pgrep -l guideway || fail "processes are left"
! findmnt /run/guideway/bpf || fail "the mount of pins is left"
! findmnt /run/guideway/tables/huge || fail "the mount of tables is left"
[ ! -e /run/guideway/tables ] || fail "tables are left"
! answers || fail "the VIP still answers"
has -F -e "$options" </etc/default/guideway-engine || fail "the configuration is gone"
[ -s /etc/guideway/manifests/web.yaml ] || fail "the manifest is gone"

say "purged: nothing is left"
package --purge guideway
sysctl -qw vm.nr_hugepages=0
ip netns exec server nginx -e /tmp/nginx.log -c /tmp/nginx.conf -s stop
ip netns delete client
ip netns delete server
rmdir /run/netns 2>/dev/null || umount /run/netns && rmdir /run/netns || true
machine >/tmp/after
# The user and group stay, as with other packages of Debian's; these are backups of passwd and group. Private directories
# come and go with other services of the machine's.
left=$(diff /tmp/before /tmp/after | grep '^[<>]' | grep -vE '^> /etc/(passwd|group|shadow|gshadow|subuid|subgid)-$' |
  grep -vE '/systemd-private-[0-9a-f]+-[^/]*' || true)
private=$(find /tmp /var/tmp -name 'systemd-private-*guideway*')
equal "what is left of private directories" "" "$private"
equal "what is left" "" "$left"
equal "units that are left" "" "$(systemctl list-units --all --no-legend 'guideway*' 'run-guideway*')"
say "the end"
echo 'all as it should be'
