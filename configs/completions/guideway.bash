# Completion of guideway, guidewayd and guideway-engine for bash. What there is to complete is read from the programs' own
# --help, so that it is true of the version that is installed.

# Words of `PROGRAM [SUBCOMMAND] --help`: options, and subcommands.
_guideway_words() {
  "$@" --help 2>/dev/null | awk '
    /^[A-Z][a-z]*:$/ { part = $1 }
    /^  [^ ]/ && part == "Options:" { split($1, names, ","); for (i in names) print names[i] }
    /^  [^ ]/ && part == "Subcommands:" { print $1 }'
}

# The values that the help of an option lists: "--log-level LEVEL:{debug,info}=info".
_guideway_values() {
  local option=$1
  shift
  "$@" --help 2>/dev/null | awk -v option="$option" '
    /^  -/ { split($1, names, ","); for (i in names) if (names[i] == option && match($0, /\{[^}]*\}/)) {
      values = substr($0, RSTART + 1, RLENGTH - 2); gsub(",", "\n", values); print values; exit } }'
}

_guideway() {
  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=("${COMP_WORDS[0]}") word values
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [[ $word != -* ]] && _guideway_words "${command[@]}" | grep -qxF -e "$word"; then
      command+=("$word")
      break
    fi
  done
  COMPREPLY=()
  # For readline a colon is a word of its own: here is an interface's name to be completed.
  if [[ ${COMP_WORDS[*]} == *"--port af_xdp :"* && ($current == : || $before == :) ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_guideway_links)" -- "${current#:}")
    return
  fi
  if [[ $before == -* ]]; then
    values=$(_guideway_values "$before" "${command[@]}")
    if [ -n "$values" ]; then
      mapfile -t COMPREPLY < <(compgen -W "$values" -- "$current")
      return
    fi
    case $before in
    --manifests | --state-dir | --bpffs) mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    --engine | --socket) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    --port) mapfile -t COMPREPLY < <(compgen -W "$(_guideway_links | sed s/^/af_xdp:/)" -- "$current"); return ;;
    esac
  fi
  mapfile -t COMPREPLY < <(compgen -W "$(_guideway_words "${command[@]}")" -- "$current")
}

_guideway_links() {
  local link
  for link in /sys/class/net/*; do
    [ "${link##*/}" = lo ] || printf '%s\n' "${link##*/}"
  done
}

complete -F _guideway guideway guidewayd guideway-engine
