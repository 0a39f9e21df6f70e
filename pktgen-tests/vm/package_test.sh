#!/usr/bin/env bash
# The Debian package in a machine of its own: QEMU by emulation, which runs wherever CI does, with Debian's cloud kernel and
# systemd. guest.sh is what happens in it; here the machine is made, started and listened to.
#
# Its root file system is made once for each set of packages (build/vm/) and never written to: a run keeps its changes in
# a temporary file. Packages come from where apt on this host is told to fetch them.
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() { printf 'FAILED: %s\n' "$*"; exit 1; }
skip() { printf 'skipped: %s\n' "$*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "making a root file system needs root"

package=$(ls -t build-package/guideway_*_amd64.deb 2>/dev/null | head -n 1)
[ -n "$package" ] || fail "there is no package: run './dev package'"
work=$(mktemp -d "${TMPDIR:-/tmp}/guideway-vm.XXXXXX")
qemu=
ended() {
  local code=$?
  trap - EXIT INT TERM
  [ -z "$qemu" ] || kill "$qemu" 2>/dev/null || true
  [ $code = 0 ] || tail -n 30 "$work/base.log" "$work/qemu.log" "$work/console" 2>/dev/null || true
  rm -rf "$work"
  exit $code
}
trap ended EXIT
trap 'exit 130' INT TERM

# What the package depends on, so that it can be installed without a network; and what guest.sh uses.
wanted() {
  dpkg-deb -f "$package" Pre-Depends Depends | sed 's/^[^:]*: //' | tr ',' '\n' | sed 's/|.*//; s/(.*)//; s/ //g'
  printf '%s\n' curl dpkg ethtool iproute2 jq linux-image-cloud-amd64 nginx-light procps systemd-sysv udev
}

# Debian's archives that apt on this host knows, as lines of a sources.list.
archives() {
  apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    awk '$1 == "Debian" {print "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]", $2, $3, $4}' | sort -u
}

# `make_base DIRECTORY`: kernel, initrd and root.ext4, whole or not at all.
make_base() {
  local release
  release=$(. /etc/os-release && echo "$VERSION_CODENAME")
  [ -n "$(archives)" ] || apt-get update
  archives >"$work/sources.list"
  [ -s "$work/sources.list" ] || fail "apt knows no archive of Debian's"
  apt-config dump | grep '^Acquire::' >"$work/apt.conf"  # proxies, and whom to trust
  mmdebstrap --mode=root --variant=minbase --include="$(wanted | sort -u | paste -sd,)" --aptopt="$work/apt.conf" \
    "$release" "$work/root" "$work/sources.list"
  echo guest >"$work/root/etc/hostname"
  cat >"$work/root/etc/systemd/system/guest.service" <<EOF
[Unit]
Description=The test in this machine
After=basic.target
[Service]
Type=oneshot
ExecStartPre=/bin/mount -o ro /dev/vdb /mnt
ExecStart=/bin/bash /mnt/guest.sh
ExecStopPost=/bin/systemctl --no-block start poweroff.target
StandardOutput=file:/dev/ttyS1
StandardError=inherit
[Install]
WantedBy=multi-user.target
EOF
  ln -s ../guest.service "$work/root/etc/systemd/system/multi-user.target.wants/guest.service"
  ln -sf /dev/null "$work/root/etc/systemd/system/nginx.service"
  ln -sf /dev/null "$work/root/etc/systemd/system/getty.target"
  # Each `systemctl daemon-reload` runs them all, for seconds, and there is nothing for them to do.
  mkdir -p "$work/root/etc/systemd/system-generators"
  for generator in "$work"/root/usr/lib/systemd/system-generators/*; do
    ln -s /dev/null "$work/root/etc/systemd/system-generators/${generator##*/}"
  done
  mkdir "$work/base"
  cp "$work"/root/boot/vmlinuz-*-amd64 "$work/base/kernel"
  cp "$work"/root/boot/initrd.img-*-amd64 "$work/base/initrd"
  mke2fs -q -t ext4 -d "$work/root" "$work/base/root.ext4" 3G
  rm -rf "$work/root"
  rm -rf build/vm
  mkdir -p build/vm
  mv "$work/base" "$1"
}

base=build/vm/$({ wanted; declare -f make_base; } | sha256sum | cut -c 1-16)
if [ ! -d "$base" ]; then
  echo "making the root file system"
  make_base "$base" >"$work/base.log" 2>&1  # a command that fails in there ends the test: not in an `if` or `||`
fi

# The same package with a higher version, and other defaults among its configuration.
mkdir "$work/disk"
cp pktgen-tests/vm/guest.sh "$work/disk/"
cp "$package" "$work/disk/first.deb"
dpkg-deb -R "$package" "$work/next"
sed -i 's/^Version: .*/&+next/' "$work/next/DEBIAN/control"
for file in guideway-engine guidewayd; do echo '# A new default.' >>"$work/next/etc/default/$file"; done
dpkg-deb --root-owner-group -Zgzip -b "$work/next" "$work/disk/next.deb" >/dev/null
mke2fs -q -t ext4 -d "$work/disk" "$work/disk.ext4" 256M

# Without what emulation pays dearly for: string instructions byte by byte, five levels of page tables, other ways to the
# kernel and out of it, pages cleared twice.
cpu=max,-erms,-fsrm,-smap,-smep,-la57
parameters="root=/dev/vda rw console=ttyS0 panic=-1 quiet mitigations=off init_on_alloc=0 rcupdate.rcu_expedited=1"

echo "starting the machine"
touch "$work/report"
TMPDIR=$work timeout 1500 qemu-system-x86_64 -accel tcg,thread=multi -cpu $cpu -smp 2 -m 2048 \
  -nodefaults -no-reboot -display none -device virtio-rng-pci \
  -kernel "$base/kernel" -initrd "$base/initrd" -append "$parameters" \
  -drive "file=$base/root.ext4,format=raw,if=virtio,snapshot=on,cache=unsafe" \
  -drive "file=$work/disk.ext4,format=raw,if=virtio,readonly=on" \
  -serial "file:$work/console" -serial "file:$work/report" </dev/null 2>"$work/qemu.log" &
qemu=$!
wait $qemu || { cat "$work/report"; fail "the machine doesn't end, or QEMU fails"; }
qemu=
tr -d '\r' <"$work/report"
[ "$(tr -d '\r' <"$work/report" | tail -n 1)" = 'all as it should be' ] || fail "something in the machine isn't so"
