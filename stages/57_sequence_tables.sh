#!/usr/bin/env bash
# Stage 57: the Seq-KD and ERR-KD tables of a student.
# Usage:   57_sequence_tables.sh CORPUS STUDENT ROW ...   (rows that are trained and scored)
#
#          compare   every row with seed 1, against the baseline
#          err       ERR-KD and the teacher's posterior with seed 1, against the same hypotheses with equal weights
#          fifth     against the student of a fifth of the transcripts
#          lm        what was scored with a language model, against the baseline with it
#          attention, attention-err   compare and err by the decoder alone
#          seeds, seeds-err, seeds-fifth, seeds-attention, seeds-attention-err   the same of the rows that have more seeds
#
# Reads:   $EXP/sequence
# Writes:  $EXP/sequence/STUDENT/TABLE.{json,txt}
# Takes:   a minute
set -euo pipefail
source "$(dirname "$0")/${1:?which corpus?}/settings.sh"

student=${2:?which student? one of the names in $CONF} rows=("${@:3}")
source stages/sequence.sh
teacher=$SEQUENCE/$FAMILY/teacher own=$SEQUENCE/$student

# TABLE BASELINE SCORE FOLDER ...: of those folders that have the score, if one is the baseline and one is not.
table() {
  local scored=() folder
  for folder in "${@:4}"; do if [[ -f $folder/$3/stamp.json ]]; then scored+=("$folder"); fi; done
  rm -f "$own/$1".{json,txt}
  if [[ " ${scored[*]##*/} " == *" $2 "* ]] && ((${#scored[@]} > 1)); then
    asrkd compare "${scored[@]}" --baseline "$2" --score "$3" --out "$own/$1.json" > "$own/$1.txt"
  fi
}
# PATTERN ...: rows of that name in all seeds, if they have several.
several() {
  local row found pattern
  for row in "${rows[@]}"; do
    found=("$own"/seed-*/"$row/score-$SCORED/stamp.json")
    # shellcheck disable=SC2053
    for pattern in "$@"; do
      if ((${#found[@]} > 1)) && [[ $row == $pattern ]]; then printf '%s\n' "${found[@]%/score-*}"; fi
    done
  done
}
first=("$teacher" "${rows[@]/#/$own/seed-1/}") weighed=("$own"/seed-1/{k5-b5,err-*,posterior})
table compare baseline "score-$SCORED" "${first[@]}"
table err k5-b5 "score-$SCORED" "${weighed[@]}"
table fifth fifth "score-$SCORED" "$own"/seed-1/{fifth,fifth-*,baseline}
table lm baseline "score-$SCORED-lm" "${first[@]}"
table attention baseline "score-$SCORED-attention" "${first[@]}"
table attention-err k5-b5 "score-$SCORED-attention" "${weighed[@]}"
mapfile -t folders < <(several '*')
table seeds baseline "score-$SCORED" "${folders[@]}"
table seeds-attention baseline "score-$SCORED-attention" "${folders[@]}"
mapfile -t folders < <(several k5-b5 'err-*' posterior)
table seeds-err k5-b5 "score-$SCORED" "${folders[@]}"
table seeds-attention-err k5-b5 "score-$SCORED-attention" "${folders[@]}"
mapfile -t folders < <(several fifth 'fifth-*' baseline)
table seeds-fifth fifth "score-$SCORED" "${folders[@]}"
