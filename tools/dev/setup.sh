# ./dev setup: the Debian packages that are missing, and nothing else on the machine.

help_setup() {
  cat <<EOF
usage: ./dev setup

Installs those of Debian 12's packages that we need and that are missing (tools/dev/packages.txt says why each).
Servers among them (nginx, ssh, Prometheus) are installed without being started or enabled. Does nothing when all are there.
EOF
}

wanted_packages() { sed 's/#.*//' tools/dev/packages.txt | awk 'NF {print $1}'; }

# A virtual name such as pkg-config may be installed as another package's: then its "Provides" counts.
missing_packages() {
  local have
  have=$(dpkg-query -W -f '${db:Status-Status} ${Package}, ${Provides}\n' 2>/dev/null | sed -n 's/^installed //p' |
    tr ',' '\n' | awk '{print $1}' | sort -u)
  comm -23 <(wanted_packages | sort -u) <(printf '%s\n' "$have")
}

dev_setup() {
  no_arguments setup "$@"
  ensure_packages
  step "all packages are there"
}

ensure_packages() {
  command -v dpkg-query >/dev/null || fail "this isn't Debian: install what tools/dev/packages.txt names by hand"
  local missing
  missing=$(missing_packages)
  [ -n "$missing" ] || return 0
  [ "$(id -u)" = 0 ] || fail "packages are missing and installing them needs root: run 'sudo ./dev setup' ($(echo $missing))"
  step "installing $(echo "$missing" | wc -l) packages: $(echo $missing)"
  # shellcheck disable=SC2086
  install_packages $missing || fail "apt-get couldn't install them; its log is build/setup.log"
}

install_packages() {
  export DEBIAN_FRONTEND=noninteractive
  quietly build/setup.log apt-get update || return 1
  local policy=/usr/sbin/policy-rc.d own_policy=
  if [ ! -e "$policy" ]; then  # Debian's way to say "start no service now"
    own_policy=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  local code=0
  quietly build/setup.log apt-get install -y --no-install-recommends "$@" || code=$?
  [ -z "$own_policy" ] || { rm -f "$policy"; trap - EXIT; }
  disable_services "$@"
  return "$code"
}

# We need the programs, not the services; what the machine ran before stays as it was.
disable_services() {
  command -v systemctl >/dev/null || return 0
  case " $* " in *" nginx-light "*) systemctl disable nginx >/dev/null 2>&1 || true ;; esac
  case " $* " in *" openssh-server "*) systemctl disable ssh >/dev/null 2>&1 || true ;; esac
  case " $* " in *" prometheus "*) systemctl disable prometheus >/dev/null 2>&1 || true ;; esac
}
