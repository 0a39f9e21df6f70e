# ./dev build: meson's three build directories.

help_build() {
  cat <<EOF
usage: ./dev build [release|sanitizers|fuzz]

  release     into build/             what is shipped, measured and run in the lab; the default
  sanitizers  into build-sanitizers/  the same code with AddressSanitizer and UndefinedBehaviorSanitizer
  fuzz        into build-fuzz/        the fuzzers, by clang with libFuzzer and AddressSanitizer
EOF
}

dev_build() {
  local kind=${1:-release}
  [ $# -le 1 ] || refuse "./dev build takes one kind"
  build_directory "$kind" >/dev/null
  ensure_packages
  build_kind "$kind"
}

build_directory() {
  case $1 in
  release) echo build ;;
  sanitizers) echo build-sanitizers ;;
  fuzz) echo build-fuzz ;;
  *) refuse "./dev build knows release, sanitizers and fuzz, not '$1'" ;;
  esac
}

configure_kind() {
  local directory
  directory=$(build_directory "$1")
  [ ! -f "$directory/build.ninja" ] || return 0
  step "configuring $directory"
  # What was interrupted while it configured itself anew has all but the file, and a plain setup would leave it so.
  local again=()
  [ ! -e "$directory/meson-private/coredata.dat" ] || again=(--reconfigure)
  case $1 in
  release) quietly "$directory/configure.log" meson setup "${again[@]}" "$directory" ;;
  sanitizers)  # -O2 and tracking of variables make GCC take minutes for Catch's main once sanitizers are on; and
    # GCC 12's maybe-uninitialized is wrong about code that they instrument
    quietly "$directory/configure.log" meson setup "${again[@]}" "$directory" --optimization 1 --debug \
      '-Dcpp_args=-fno-var-tracking -Wno-maybe-uninitialized' \
      -Db_sanitize=address,undefined -Db_lundef=false
    ;;
  fuzz)  # GCC's warnings are the build's; another compiler's don't stop the fuzzers
    CC=clang-19 CXX=clang++-19 quietly "$directory/configure.log" meson setup "${again[@]}" "$directory" --buildtype debugoptimized \
      -Db_sanitize=address,undefined -Dcpp_args=-fno-sanitize-recover=undefined \
      -Db_lundef=false -Dwerror=false -Dfuzz=true
    ;;
  esac
}

# `build_kind KIND [TARGET...]`; on a failure the compiler's output is shown.
build_kind() {
  local kind=$1 directory
  directory=$(build_directory "$kind")
  shift
  configure_kind "$kind" || return 1
  if [ "$kind" = fuzz ] && [ $# = 0 ]; then
    # shellcheck disable=SC2046
    set -- $(fuzz_targets)
    [ $# != 0 ] || { step "there are no fuzzers"; return 0; }
  fi
  if [ "$kind" = fuzz ]; then  # ninja knows a program by its path
    local program programs=()
    for program; do programs+=("$(realpath -m --relative-to="$directory" "$(fuzz_program "$program")")"); done
    set -- "${programs[@]}"
  fi
  step "building $kind"
  if [ -n "$TERMINAL" ]; then ninja -C "$directory" "$@"; else quietly "$directory/build.log" ninja -C "$directory" "$@"; fi
}

# `fuzz_targets`: the executables of build-fuzz/ whose name ends in _fuzz.
fuzz_targets() {
  meson introspect build-fuzz --targets |
    jq -r '.[] | select(.type == "executable" and (.name | endswith("_fuzz"))) | .name'
}

# Where meson put an executable of build-fuzz/.
fuzz_program() {
  meson introspect build-fuzz --targets | jq -r --arg name "$1" '.[] | select(.name == $name) | .filename[0]'
}
