#!/usr/bin/env bash
# Stage 30: the MVQ-KD tables: the rows with seed 1; the rows that have more seeds; sizes and times of the targets.
# Usage:   30_table.sh CORPUS ROW ...        (rows that are trained and scored)
#
# Reads:   $EXP/teacher, $EXP/mvq
# Writes:  $EXP/mvq/{compare,seeds}.{json,txt}, of a second set of $SCORED {compare,seeds}-SET.*; $EXP/mvq/storage.txt
# Takes:   a minute
# Showed:  docs/results/mvq-kd.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

rows=("${@:2}")
if ((${#rows[@]} == 0)); then exit; fi # none was run
table() { # NAME FOLDER ...
  local set file teacher
  for set in $SCORED; do
    file=$EXP/mvq/$1$(ending "$set")
    teacher=()
    if [[ -f $EXP/teacher/score-$set/stamp.json ]]; then teacher=("$EXP/teacher"); fi
    asrkd compare "${teacher[@]}" "${@:2}" --score "score-$set" "${COMPARE[@]}" --out "$file.json" > "$file.txt"
  done
}
table compare "${rows[@]/#/$EXP/mvq/seed-1/}"

several=()
for row in "${rows[@]}"; do
  scored=("$EXP"/mvq/seed-*/"$row/score-$FIRST_SCORED/stamp.json")
  if ((${#scored[@]} > 1)); then several+=("${scored[@]%/score-*}"); fi
done
rm -f "$EXP"/mvq/seeds{,-*}.{json,txt}
if ((${#several[@]})); then table seeds "${several[@]}"; fi

stores=()
for store in "$EXP"/mvq/{codebook-?,codebook-??,hidden}; do
  if [[ -f $store/stamp.json ]]; then stores+=("$store"); fi
done
seconds() { # of each store, and of its quantizer
  local store quantizer
  printf '%8s %12s\n' 'made s' 'quantizer s'
  for store in "${stores[@]}"; do
    quantizer=${store/codebook/quantizer}.seconds
    if [[ $store == */hidden ]]; then quantizer=/dev/null; fi
    printf '%8s %12s\n' "$(< "$store.seconds")" "$(< "$quantizer")"
  done
}
if ((${#stores[@]} == 0)); then exit; fi # all rows were restored
asrkd targets sizes "${stores[@]}" | paste -d ' ' - <(seconds) > "$EXP/mvq/storage.txt"
