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
# Writes:  $EXP/sequence/STUDENT/TABLE.{json,txt}, of a second set of $SCORED TABLE-SET.*
# Takes:   a minute
# Showed:  docs/results/seq-kd.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

student=${2:?which student? one of the names in $CONF} rows=("${@:3}")
source stages/sequence/families.sh
teacher=$SEQUENCE/$FAMILY/teacher folder=$SEQUENCE/$student

# TABLE BASELINE SEARCH FOLDER ...: for each set, of those folders that have its score by the search (-lm, -attention),
# if one is the baseline and one is not.
table() {
  local set score file scored system
  for set in $SCORED; do
    score=score-$set$3 file=$folder/$1$(ending "$set") scored=()
    for system in "${@:4}"; do if [[ -f $system/$score/stamp.json ]]; then scored+=("$system"); fi; done
    rm -f "$file".{json,txt}
    if [[ " ${scored[*]##*/} " == *" $2 "* ]] && ((${#scored[@]} > 1)); then
      asrkd compare "${scored[@]}" --baseline "$2" --score "$score" "${COMPARE[@]}" --out "$file.json" > "$file.txt"
    fi
  done
}
# PATTERN ...: rows of that name in all seeds, if they have several.
several() {
  local row scored pattern
  for row in "${rows[@]}"; do
    scored=("$folder"/seed-*/"$row/score-$FIRST_SCORED/stamp.json")
    # shellcheck disable=SC2053
    for pattern in "$@"; do
      if ((${#scored[@]} > 1)) && [[ $row == $pattern ]]; then printf '%s\n' "${scored[@]%/score-*}"; fi
    done
  done
}
first=("$teacher" "${rows[@]/#/$folder/seed-1/}") weighted=("$folder"/seed-1/{k5-b5,err-*,posterior})
table compare baseline "" "${first[@]}"
table err k5-b5 "" "${weighted[@]}"
table fifth fifth "" "$folder"/seed-1/{fifth,fifth-*,baseline}
table lm baseline -lm "${first[@]}"
table attention baseline -attention "${first[@]}"
table attention-err k5-b5 -attention "${weighted[@]}"
mapfile -t systems < <(several '*')
table seeds baseline "" "${systems[@]}"
table seeds-attention baseline -attention "${systems[@]}"
mapfile -t systems < <(several k5-b5 'err-*' posterior)
table seeds-err k5-b5 "" "${systems[@]}"
table seeds-attention-err k5-b5 -attention "${systems[@]}"
mapfile -t systems < <(several fifth 'fifth-*' baseline)
table seeds-fifth fifth "" "${systems[@]}"
