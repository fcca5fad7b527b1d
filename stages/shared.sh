# Sourced by the run.sh of demo, mvq and sequence, after a corpus's settings and with its name in $corpus.
#
# AT_ONCE  stages that run side by side, one thread each: three share two cores without an idle end
export corpus DATA EXP SIZE
AT_ONCE=${AT_ONCE:-3} SIZE=${SIZE:-demo}

# SEED NAME ARGUMENT ...: the stage stages/NAME.sh of the corpus. Each is idempotent: a finished one says so.
stage() { SEED=$1 bash "stages/$2.sh" "$corpus" "${@:3}"; }
export -f stage

# COMMAND, with the words of each line of the input as arguments. After a failure no further line is begun, and its
# exit status is that of the whole.
side_by_side() {
  local failed status=0
  failed=$(mktemp)
  xargs -r -L 1 -P "$AT_ONCE" bash -c '"${@:2}" || { echo "$?" > "$1"; exit 255; }' side_by_side "$failed" "$@" ||
    status=$(cat "$failed")
  rm "$failed"
  return "${status:-1}"
}

# NAME PATTERN MEANING: a variable whose value has another form is refused.
expect() { [[ ${!1-} =~ ^($2)$ ]] || { echo "$1=${!1-}: expected $3" >&2; exit 2; }; }
expect AT_ONCE '[1-9][0-9]*' "a number of stages, 1 or more"
expect SIZE 'demo|tiny' "demo or tiny"

# The corpus, and the student's cuts. Where its folder is named, prepare checks that it is the one that is there already.
prepare_corpus() {
  if [[ $corpus == digits ]]; then bash stages/corpora/digits/prepare.sh
  elif [[ -n ${CORPUS-} || ! -f $DATA/stamp.json || ! -f $STUDENT_CUTS ]]; then bash "stages/corpora/$corpus/prepare.sh" "${CORPUS-}"; fi
}

# FILE OTHER ...: whether FILE is missing or older than one of the others.
is_stale() {
  local other
  for other in "${@:2}"; do if [[ $other -nt $1 ]]; then return 0; fi; done
  return 1
}

# WORDS OTHERS: those of the words that are among the others; `without`: those that are not.
within() { local word; for word in $1; do if [[ " $2 " == *" $word "* ]]; then echo "$word"; fi; done; }
without() { local word; for word in $1; do if [[ " $2 " != *" $word "* ]]; then echo "$word"; fi; done; }

# FOLDER FILE ROW ...: the row with the lowest WER on dev, the first of equal ones; the test set has no part in it.
# FILE is the stamp.json of a training or the score.json of a score on dev, in which asrkd writes a key a line.
best_row() {
  local row wer
  for row in "${@:3}"; do
    wer=$(grep -o '"wer": *[0-9.e-]*' "$1/$row/$2") || return
    echo "${wer##*[: ]} $row"
  done | sort -s -g -k1,1 | { read -r _ row && echo "$row" && cat > /dev/null; }
}
