#compdef guideway guidewayd guideway-engine
# Completion of guideway, guidewayd and guideway-engine for zsh; what there is to complete is words.sh's answer.

_guideway() {
  local file=${functions_source[_guideway]:A:h}/words.sh                  # in our sources
  [[ -e $file ]] || file=${file:h}/../../guideway/words.sh  # installed
  local -a lines candidates
  lines=("${(@f)$(sh $file "${(@Q)words[1,CURRENT]}" 2>/dev/null)}")
  case $lines[1] in
  '') return 1 ;;
  :directory) _files -/ ;;
  :file) _files ;;
  *)
    local line
    for line in $lines; do candidates+=("${${line//:/\\:}/$'\t'/:}"); done
    _describe -V argument candidates
    ;;
  esac
}

_guideway "$@"
