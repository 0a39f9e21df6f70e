# ./dev fmt and ./dev lint: how the code looks, and what clang-tidy thinks of it.

help_fmt() {
  cat <<EOF
usage: ./dev fmt [--check]

Formats our C and C++ files in place; with --check changes nothing and fails if something would change.
EOF
}

help_lint() {
  cat <<EOF
usage: ./dev lint [PATTERN]

clang-tidy over our C++ files (those whose path matches PATTERN), and the syntax of our scripts.
EOF
}

our_files() { git ls-files --cached --others --exclude-standard -- "$@"; }  # also those not committed yet

dev_fmt() {
  ensure_packages
  local mode=(-i)
  case ${1:-} in
  '') ;;
  --check) mode=(--dry-run -Werror) ;;
  *) refuse "./dev fmt takes --check, not '$1'" ;;
  esac
  our_files '*.c' '*.cc' '*.h' | xargs -r clang-format-19 "${mode[@]}" || fail "some files aren't formatted: run './dev fmt'"
}

dev_lint() {
  [ $# -le 1 ] || refuse "./dev lint takes one PATTERN"
  ensure_packages
  build_kind release || exit 1
  local failed="" file
  step "the scripts' syntax"
  for file in dev .ci/run $(our_files '*.sh'); do bash -n "$file" || failed=yes; done
  step "clang-tidy"
  # Only what is compiled: compile_commands.json knows its flags.
  jq -r '.[].file' build/compile_commands.json | xargs -r -I{} realpath -m --relative-to=. build/{} |
    grep -vE '^(\.\.|build)' | grep -E -e "${1:-.}" | sort -u |
    xargs -r -P "$(nproc)" -n 1 clang-tidy-19 -p build --quiet --warnings-as-errors='*' || failed=yes
  [ -z "$failed" ] || fail "there is something to mend"
  step "nothing to mend"
}
