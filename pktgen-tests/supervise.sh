#!/usr/bin/env bash
# `supervise.sh PIDFILE COMMAND...`: starts a command again whenever it dies, until it is ended itself (SIGTERM). SIGHUP:
# `COMMAND... --upgrade` takes the place of the one that runs. A stand-in for a service manager; it gives up on a command
# line that the command refuses (exit code 2).
set -uo pipefail

pidfile=$1
shift
command=("$@")
child=
next=
ended() {
  for one in $child $next; do kill "$one" 2>/dev/null && wait "$one"; done
  rm -f "$pidfile"
  exit 0
}
upgrade() {
  "${command[@]}" --upgrade &
  next=$!
}
trap ended TERM INT
trap upgrade HUP

start() {
  child=$1
  echo "$child" >"$pidfile"
}

while true; do
  if [ -z "$child" ]; then
    "${command[@]}" &
    start $!
  fi
  wait "$child"
  code=$?
  [ $code -gt 128 ] && kill -0 "$child" 2>/dev/null && continue  # it was a signal of ours
  child=
  if [ $code = 0 ] && [ -n "$next" ]; then
    start "$next"
    next=
    continue
  fi
  [ "$code" != 2 ] || { echo "supervise: the command line is refused, giving up" >&2; rm -f "$pidfile"; exit 2; }
  echo "supervise: ended with code $code, starting it again" >&2
  sleep 0.1 &
  wait $!
done
