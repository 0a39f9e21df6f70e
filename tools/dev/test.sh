# ./dev test: every kind of test, one after the other, counted into one last line.

FUZZ_SECONDS=${FUZZ_SECONDS:-10}

help_test() {
  cat <<EOF
usage: ./dev test [--vm | PATTERN]

Runs everything: structure/, unit/, sanitizers/ (the unit tests again, built with sanitizers), fuzz/ (${FUZZ_SECONDS} s each),
netns/ (as root) and vm/ (as root: the Debian package in a machine that QEMU runs, which takes about a minute on today's
machines and two on older ones, without the making of the package and, the first time, of its root file system). PATTERN,
an extended regular expression, picks tests by these names, --vm the last kind; only what they need is built.

  ./dev test maglev          unit/maglev, sanitizers/maglev, fuzz/maglev…
  ./dev test netns/          what crosses a network
  ./dev test unit/net        one folder, once

The last line is 'N passed, N failed'. Logs stay in build/tests/; FUZZ_SECONDS=60 fuzzes longer.
EOF
}

dev_test() {
  [ $# -le 1 ] || refuse "./dev test takes one PATTERN"
  case ${1:-} in
  --vm) test_pattern='^vm/' ;;
  -*) refuse "./dev test takes --vm or a PATTERN, not '$1'" ;;
  *) test_pattern=${1:-.} ;;
  esac
  printf '' | grep -qE -e "$test_pattern" || [ $? = 1 ] || refuse "'$test_pattern' isn't a regular expression"
  tests_passed=0 tests_failed=0 tests_skipped=0
  test_failures=()
  ensure_packages
  mkdir -p build/tests
  trap 'exit 130' INT TERM
  run_structure
  run_meson_tests unit release
  run_meson_tests sanitizers sanitizers
  run_fuzzers
  run_namespace_tests
  run_vm_tests
  test_summary
}

test_summary() {
  local name
  for name in "${test_failures[@]}"; do printf 'failed: %s\n' "$name"; done
  [ $((tests_passed + tests_failed + tests_skipped)) != 0 ] || fail "no test's name matches '$test_pattern'"
  [ "$tests_skipped" = 0 ] || printf '%s skipped\n' "$tests_skipped"
  printf '%s passed, %s failed\n' "$tests_passed" "$tests_failed"
  [ "$tests_failed" = 0 ]
}

wanted() { printf '%s\n' "$1" | grep -qE -e "$test_pattern"; }

# `count NAME RESULT PASSED FAILED SKIPPED SECONDS LOG`
count() {
  passed_by
  tests_passed=$((tests_passed + $3)) tests_failed=$((tests_failed + $4)) tests_skipped=$((tests_skipped + $5))
  local cases=''
  [ $(($3 + $4 + $5)) -le 1 ] || cases="$(($3 + $4 + $5)) cases, "
  printf '%-7s %-40s %s%s s\n' "$2" "$1" "$cases" "$6"
  case $2 in
  ok) ;;
  skipped) tail -n 1 "$7" | sed 's/^/        /' ;;
  *)
    test_failures+=("$1 (log: $7)")
    tail -n 80 "$7" | sed 's/^/    | /'
    ;;
  esac
}

# One program that says by its exit code how it ended: 0, 77 for skipped, or failed. `run_one NAME COMMAND...`
run_one() {
  local name=$1 log=build/tests/${1//\//-}.log code=0 start=$SECONDS
  shift
  passing "$name"
  "$@" >"$log" 2>&1 </dev/null || code=$?
  case $code in
  0) count "$name" ok 1 0 0 $((SECONDS - start)) "$log" ;;
  77) count "$name" skipped 0 0 1 $((SECONDS - start)) "$log" ;;
  130) exit 130 ;;  # Ctrl-C
  *) count "$name" FAILED 0 1 0 $((SECONDS - start)) "$log" ;;
  esac
}

run_structure() {
  local script name
  for script in pktgen-tests/structure/*_test.py; do
    name=structure/$(basename "$script" _test.py)
    wanted "$name" || continue
    if [ "$name" = structure/symbols ]; then
      build_kind release dataplane/path/libpath.a || { broken "$name" build/build.log; continue; }
    fi
    run_one "$name" /usr/bin/python3 "$script"
  done
}

broken() { count "$1: doesn't build" FAILED 0 1 0 0 "$2"; }

# Meson's own tests, of one build directory. Each prints its Catch2 cases as JUnit, and every case counts.
run_meson_tests() {
  local group=$1 kind=$2 directory tests name
  directory=$(build_directory "$kind")
  # The release build has every test, so another is configured only if one of them is wanted.
  configure_kind release || { broken "$group" build/configure.log; return; }
  tests=$(meson introspect build --tests | jq -r '.[].name' | sort -u)
  local chosen=()
  for name in $tests; do ! wanted "$group/$name" || chosen+=("$name"); done
  [ ${#chosen[@]} != 0 ] || return 0
  configure_kind "$kind" || { broken "$group" "$directory/configure.log"; return; }
  if [ "$test_pattern" = . ]; then
    build_kind "$kind" || { broken "$group" "$directory/build.log"; return; }
  fi
  tests=$(meson introspect "$directory" --tests | jq -r '.[].name')
  for name in "${chosen[@]}"; do
    ! grep -qxF -e "$name" <<<"$tests" || run_meson_test "$group" "$directory" "$name"
  done
}

run_meson_test() {
  local group=$1 directory=$2 name=$3 log=build/tests/$1-$3.log code=0 start=$SECONDS cases
  passing "$group/$name"
  # Meson builds what this test needs. A log of its own for each: meson keeps the last run's only. Its limits are for what
  # hangs, not for a machine that is slow today.
  meson test -C "$directory" --timeout-multiplier 4 --print-errorlogs --logbase "$group-$name" "$name" >"$log" 2>&1 </dev/null || code=$?
  [ "$code" != 130 ] || exit 130
  cases=$(/usr/bin/python3 tools/dev/count_cases.py "$directory/meson-logs/$group-$name.json" "$code")
  # shellcheck disable=SC2086
  count "$group/$name" $cases $((SECONDS - start)) "$log"
}

run_fuzzers() {
  [ "$test_pattern" = . ] || [[ $test_pattern != */* ]] || [[ $test_pattern == *fuzz* ]] || return 0
  [ -n "$(find . -path './build*' -prune -o -name '*_fuzz.cc' -print -quit)" ] || return 0
  configure_kind sanitizers || { broken fuzz build-sanitizers/configure.log; return; }
  local target program
  for target in $(fuzz_targets); do
    wanted "fuzz/${target%_fuzz}" || continue
    program=$(fuzz_program "$target")
    build_kind sanitizers "$(realpath -m --relative-to=build-sanitizers "$program")" ||
      { broken "fuzz/${target%_fuzz}" build-sanitizers/build.log; continue; }
    run_one "fuzz/${target%_fuzz}" fuzz_briefly "$target" "$program"
  done
}

# A corpus in the repository (a folder corpus/TARGET beside the source) is read; what is found new goes to the build.
fuzz_briefly() {
  local target=$1 program=$2 found=build-sanitizers/corpus/$1 seeds
  mkdir -p "$found" build-sanitizers/artifacts
  seeds=$(find . -path './build*' -prune -o -type d -path "*/corpus/$target" -print)
  # shellcheck disable=SC2086
  "$program" -max_total_time="$FUZZ_SECONDS" -timeout=10 -print_final_stats=1 -error_exitcode=1 \
    -artifact_prefix=build-sanitizers/artifacts/ "$found" $seeds
}

run_namespace_tests() {
  local script name built=
  for script in pktgen-tests/netns/*_test.sh; do
    name=netns/$(basename "$script" _test.sh)
    wanted "$name" || continue
    if [ -z "$built" ]; then
      built=yes
      build_kind release || { broken netns build/build.log; return; }
    fi
    run_one "$name" "$script"
  done
}

# With the package of these sources.
run_vm_tests() {
  local script name built=
  for script in pktgen-tests/vm/*_test.sh; do
    name=vm/$(basename "$script" _test.sh)
    wanted "$name" || continue
    if [ -z "$built" ]; then
      built=yes
      build_package '' || { broken "$name" "$PACKAGE_DIRECTORY/build.log"; continue; }
    fi
    run_one "$name" "$script"
  done
}
