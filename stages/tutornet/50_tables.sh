#!/usr/bin/env bash
# Stage 50: TutorNet's tables of a student.
# Usage:   50_tables.sh CORPUS STUDENT ROW ...     (rows that are trained and scored)
#
#          compare   every row with seed 1, against the baseline
#          seeds     the same for the rows with several seeds
#
# Reads:   $EXP/tutornet
# Writes:  $EXP/tutornet/STUDENT/TABLE.{json,txt}, of a second set of $SCORED TABLE-SET.*
# Takes:   a minute
# Showed:  docs/results/tutornet.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

student=${2:?which student? conv, blstm or las} rows=("${@:3}") folder=$EXP/tutornet/$2
# The share of the gap is that to the teacher whom most rows have.
teacher=$EXP/tutornet/conv/teacher
if [[ $student == las ]]; then teacher=$EXP/tutornet/transformer/teacher; fi
table() { # TABLE FOLDER ...
  local set file scored system
  for set in $SCORED; do
    file=$folder/$1$(ending "$set") scored=()
    for system in "${@:2}"; do if [[ -f $system/score-$set/stamp.json ]]; then scored+=("$system"); fi; done
    rm -f "$file".{json,txt}
    if [[ " ${scored[*]##*/} " == *" baseline "* ]] && ((${#scored[@]} > 1)); then
      asrkd compare "${scored[@]}" --baseline baseline --score "score-$set" "${COMPARE[@]}" --out "$file.json" > "$file.txt"
    fi
  done
}
several=()
for row in "${rows[@]}"; do
  scored=("$folder"/seed-*/"$row/score-$FIRST_SCORED/stamp.json")
  if ((${#scored[@]} > 1)); then several+=("${scored[@]%/score-*}"); fi
done
table compare "$teacher" "${rows[@]/#/$folder/seed-1/}"
table seeds "${several[@]}"
