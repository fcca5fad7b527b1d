#!/usr/bin/env bash
# The tables of a recipe with several students: of one student all rows against its baseline.
# Usage:   student_tables.sh CORPUS STUDENT TEACHER ROW ...     (folders in $EXP; rows that are trained and scored)
#
#          compare   every row with seed 1, and the teacher, to whom the share of the gap is
#          seeds     the same for the rows with several seeds
#
# Reads:   $EXP/TEACHER, $EXP/STUDENT/seed-N/ROW
# Writes:  $EXP/STUDENT/TABLE.{json,txt}, of a second set of $SCORED TABLE-SET.*
# Takes:   a minute
# Showed:  docs/results/{tutornet,transducer}.md
set -euo pipefail
source "$(dirname "$0")/corpora/${1:?which corpus?}/settings.sh"

folder=$EXP/${2:?which student? a folder in $EXP} teacher=$EXP/${3:?which teacher? a folder in $EXP} rows=("${@:4}")
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
