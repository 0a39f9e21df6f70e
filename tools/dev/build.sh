# ./dev build: meson's two build directories.

help_build() {
  cat <<EOF
usage: ./dev build [release|sanitizers]

  release     into build/             what is shipped, measured and run in the lab; the default
  sanitizers  into build-sanitizers/  the same code by clang with AddressSanitizer and UndefinedBehaviorSanitizer, and
                                      the fuzzers
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
  *) refuse "./dev build knows release and sanitizers, not '$1'" ;;
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
  sanitizers)  # by clang: libFuzzer is its own, and it takes half of GCC's time; GCC's warnings are the build's
    CC=clang-19 CXX=clang++-19 quietly "$directory/configure.log" meson setup "${again[@]}" "$directory" \
      --optimization 1 -Db_sanitize=address,undefined -Db_lundef=false -Dwerror=false -Dfuzz=true \
      "-Dcpp_args=-gline-tables-only -fno-sanitize-recover=undefined -fsanitize-ignorelist=$PWD/tools/dev/ubsan_ignores.txt"
    ;;
  esac
}

# `build_kind KIND [TARGET...]`; on a failure the compiler's output is shown.
build_kind() {
  local kind=$1 directory
  directory=$(build_directory "$kind")
  shift
  configure_kind "$kind" || return 1
  step "building $kind"
  if [ -n "$TERMINAL" ]; then ninja -C "$directory" "$@"; else quietly "$directory/build.log" ninja -C "$directory" "$@"; fi
}

# `fuzz_targets`: the executables of build-sanitizers/ whose name ends in _fuzz.
fuzz_targets() {
  meson introspect build-sanitizers --targets |
    jq -r '.[] | select(.type == "executable" and (.name | endswith("_fuzz"))) | .name'
}

# Where meson put an executable of build-sanitizers/.
fuzz_program() {
  meson introspect build-sanitizers --targets | jq -r --arg name "$1" '.[] | select(.name == $name) | .filename[0]'
}
