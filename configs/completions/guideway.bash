# Completion of guideway, guidewayd and guideway-engine for bash; what there is to complete is words.sh's answer.

_guideway_words=${BASH_SOURCE[0]%/*}/words.sh                         # in our sources
[ -e "$_guideway_words" ] || _guideway_words=${BASH_SOURCE[0]%/*}/../../guideway/words.sh  # installed

_guideway() {
  # For readline a colon is a word of its own: af_xdp:eth0 is put together again.
  local words=() word current reply
  for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
    if [[ ${#words[@]} -gt 0 && ( $word == : || ${words[-1]} == *: ) ]]; then words[-1]+=$word; else words+=("$word"); fi
  done
  current=${words[-1]}
  mapfile -t reply < <(sh "$_guideway_words" "${words[@]}" | cut -f 1)
  case ${reply[0]} in
  :directory)
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -d -- "$current")
    ;;
  :file)
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
    ;;
  *) mapfile -t COMPREPLY < <(compgen -W "${reply[*]}" -- "$current") ;;
  esac
  [[ $current != *:* ]] || COMPREPLY=("${COMPREPLY[@]#"${current%:*}:"}")  # and readline has its beginning already
}

complete -F _guideway guideway guidewayd guideway-engine
