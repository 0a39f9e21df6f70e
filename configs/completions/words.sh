# What may stand in the place of a command line's last word, which is being typed: `sh words.sh PROGRAM [WORD...] WORD`. The
# shell leaves out what doesn't begin as it does. The completions of all shells ask here,
# and here it is read from the programs' own --help, so that it is true of the version that is installed.
#
# Prints a candidate a line: the word, and perhaps a tab and what it is; or only ":directory" or ":file", for the shell to look.

# The help of `PROGRAM [SUBCOMMAND...]` as lines: kind, name, type, values, text.
entries() {
  "$@" --help 2>/dev/null | awk '
    function tell() {
      if (kind == "") return
      count = split(names, name, ",")
      for (i = 1; i <= count; ++i) printf "%s\t%s\t%s\t%s\t%s\n", kind, name[i], type, values, text
      kind = ""
    }
    /^[^ ]/ { tell(); part = $0 }
    /^  [^ ]/ {
      tell()
      kind = part == "Options:" ? "option" : part == "Subcommands:" ? "command" : part == "Positionals:" ? "positional" : ""
      names = $1; type = values = text = ""
      text = substr($0, 31)
      if (kind == "command") next
      line = $0; sub(/^  [^ ]+/, "", line)
      if (line ~ /^ [^ ]/ && line !~ /^ (Excludes|Needs):/) type = $2  # a flag has none
      if (match(type, /\{.*\}/)) { values = substr(type, RSTART + 1, RLENGTH - 2); gsub(",", " ", values) }
      sub(/[:=].*/, "", type)
    }
    /^                              [^ ]/ { text = substr($0, 31) }
    END { tell() }'
}

program=$1
shift
commands=''
known=$(entries "$program")
above=''  # of the commands before: their options go on to be taken
given=0   # positionals
# `field NUMBER KIND NAME`
field() {
  printf '%s\n' "$known" "$above" |
    awk -F '\t' -v n="$1" -v kind="$2" -v name="$3" '$1 == kind && $2 == name { print $n; exit }'
}
before=''
while [ $# -gt 1 ]; do
  word=$1
  shift
  if [ -n "$(field 3 option "$before")" ]; then
    before=''  # its value, whatever it looks like
    continue
  fi
  before=$word
  case $word in -?*) continue ;; esac
  if [ -n "$(field 2 command "$word")" ]; then
    commands="$commands $word"
    above=$(printf '%s\n' "$known" "$above" | grep '^option')
    # shellcheck disable=SC2086
    known=$(entries "$program" $commands)
    given=0
  else
    given=$((given + 1))
  fi
done

case $(field 3 option "$before") in
'')
  # Options once a dash is typed, or where nothing else may stand.
  printf '%s\n' "$known" | awk -F '\t' -v OFS='\t' -v given="$given" -v typed="${1:-}" '
    $1 == "option" { options = options $2 OFS $5 "\n" }
    $1 == "command" { others = others $2 OFS $5 "\n"; ++places }
    $1 == "positional" && at++ == given {
      ++places
      n = split($4, values, " ")
      for (i = 1; i <= n; ++i) others = others values[i] OFS $5 "\n"
    }
    END { printf "%s", typed ~ /^-/ || !places ? options : others }'
  ;;
DIR) echo :directory ;;
PATH | FILE) echo :file ;;
SPEC)
  for link in /sys/class/net/*; do
    [ "${link##*/}" = lo ] || printf 'af_xdp:%s\tan interface\n' "${link##*/}"
  done
  ;;
*) field 4 option "$before" | tr ' ' '\n' | sed '/^$/d' ;;
esac
