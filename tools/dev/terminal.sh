# What the other pieces say with: steps, a line that is updated where there is a terminal, and refusals.

if [ -t 1 ] && [ -z "${CI:-}" ] && [ "${TERM:-dumb}" != dumb ]; then TERMINAL=yes; else TERMINAL=; fi

step() { printf '==> %s\n' "$*"; }
say_error() { printf 'dev: %s\n' "$*" >&2; }

# Ends with the code of a wrong command line.
refuse() {
  say_error "$*"
  exit 2
}

fail() {
  say_error "$*"
  exit 1
}

# A passing state: replaced by the next on a terminal, left out elsewhere.
passing() { [ -z "$TERMINAL" ] || printf '\r\033[K    %s' "$*"; }
passed_by() { [ -z "$TERMINAL" ] || printf '\r\033[K'; }

needs_root() {
  [ "$(id -u)" = 0 ] || fail "./dev $1 makes network namespaces and needs root: run 'sudo ./dev $1'"
}

no_arguments() {  # WORD "$@"
  [ $# = 1 ] || refuse "./dev $1 takes no '$2'"
}

# Runs quietly into a log; shows the log's end when it fails. `quietly LOG COMMAND...`
quietly() {
  local log=$1 code=0
  shift
  mkdir -p "$(dirname "$log")"
  "$@" >"$log" 2>&1 </dev/null || code=$?
  [ "$code" = 0 ] || { tail -n 60 "$log" >&2; say_error "'$1' failed with code $code; the whole log: $log"; }
  return "$code"
}
