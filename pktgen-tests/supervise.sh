#!/usr/bin/env bash
# `supervise.sh PIDFILE COMMAND...`: starts a command again whenever it dies, until it is ended itself (SIGTERM).
# A stand-in for a service manager; it gives up on a command line that the command refuses (exit code 2).
set -uo pipefail

pidfile=$1
shift
child=
ended() {
  [ -z "$child" ] || { kill "$child" 2>/dev/null; wait "$child"; }
  rm -f "$pidfile"
  exit 0
}
trap ended TERM INT

while true; do
  "$@" &
  child=$!
  echo "$child" >"$pidfile"
  wait "$child"
  code=$?
  child=
  [ "$code" != 2 ] || { echo "supervise: the command line is refused, giving up" >&2; rm -f "$pidfile"; exit 2; }
  echo "supervise: ended with code $code, starting it again" >&2
  sleep 0.1 &
  wait $!
done
