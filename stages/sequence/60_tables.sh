#!/usr/bin/env bash
# Stage 60: the Seq-KD and ERR-KD tables of a student.
# Usage:   60_tables.sh CORPUS STUDENT ROW ...   (rows that are trained and scored)
#
#          compare   every row with seed 1, against the baseline
#          err       ERR-KD and the teacher's posterior with seed 1, against the same hypotheses with equal weights
#          fifth     against the student of a fifth of the transcripts
#          lm        the rows scored with a language model, against the baseline with it
#          attention, attention-err   compare and err by the decoder alone
#          seeds, seeds-err, seeds-fifth, seeds-attention, seeds-attention-err   the same for the rows with several seeds
#
# Reads:   $EXP/sequence
# Writes:  $EXP/sequence/STUDENT/TABLE.{json,txt}
# Takes:   a minute
# Showed:  docs/results/seq-kd.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

student=${2:?which student? one of the names in $CONF} rows=("${@:3}")
source stages/sequence/families.sh
teacher=$SEQUENCE/$FAMILY/teacher folder=$SEQUENCE/$student

# TABLE BASELINE SCORE FOLDER ...: of those folders that have the score, if one is the baseline and one is not.
table() {
  local scored=() system
  for system in "${@:4}"; do if [[ -f $system/$3/stamp.json ]]; then scored+=("$system"); fi; done
  rm -f "$folder/$1".{json,txt}
  if [[ " ${scored[*]##*/} " == *" $2 "* ]] && ((${#scored[@]} > 1)); then
    asrkd compare "${scored[@]}" --baseline "$2" --score "$3" --out "$folder/$1.json" > "$folder/$1.txt"
  fi
}
# PATTERN ...: rows of that name in all seeds, if they have several.
several() {
  local row scored pattern
  for row in "${rows[@]}"; do
    scored=("$folder"/seed-*/"$row/score-$SCORED/stamp.json")
    # shellcheck disable=SC2053
    for pattern in "$@"; do
      if ((${#scored[@]} > 1)) && [[ $row == $pattern ]]; then printf '%s\n' "${scored[@]%/score-*}"; fi
    done
  done
}
first=("$teacher" "${rows[@]/#/$folder/seed-1/}") weighted=("$folder"/seed-1/{k5-b5,err-*,posterior})
table compare baseline "score-$SCORED" "${first[@]}"
table err k5-b5 "score-$SCORED" "${weighted[@]}"
table fifth fifth "score-$SCORED" "$folder"/seed-1/{fifth,fifth-*,baseline}
table lm baseline "score-$SCORED-lm" "${first[@]}"
table attention baseline "score-$SCORED-attention" "${first[@]}"
table attention-err k5-b5 "score-$SCORED-attention" "${weighted[@]}"
mapfile -t systems < <(several '*')
table seeds baseline "score-$SCORED" "${systems[@]}"
table seeds-attention baseline "score-$SCORED-attention" "${systems[@]}"
mapfile -t systems < <(several k5-b5 'err-*' posterior)
table seeds-err k5-b5 "score-$SCORED" "${systems[@]}"
table seeds-attention-err k5-b5 "score-$SCORED-attention" "${systems[@]}"
mapfile -t systems < <(several fifth 'fifth-*' baseline)
table seeds-fifth fifth "score-$SCORED" "${systems[@]}"
