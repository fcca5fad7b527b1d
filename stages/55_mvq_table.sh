#!/usr/bin/env bash
# Stage 55: the MVQ-KD tables: the rows with seed 1; those that have more seeds; what the targets take.
# Usage:   55_mvq_table.sh CORPUS ROW ...        (rows that are trained and scored)
#
# Reads:   $EXP/teacher, $EXP/mvq
# Writes:  $EXP/mvq/{compare,seeds}.{json,txt}, $EXP/mvq/storage.txt
# Takes:   a minute
set -euo pipefail
source "$(dirname "$0")/${1:?which corpus?}/settings.sh"

rows=("${@:2}")
table() { # NAME FOLDER ...
  asrkd compare "$EXP/teacher" "${@:2}" --score "score-$SCORED" --out "$EXP/mvq/$1.json" > "$EXP/mvq/$1.txt"
}
table compare "${rows[@]/#/$EXP/mvq/seed-1/}"

several=()
for row in "${rows[@]}"; do
  scored=("$EXP"/mvq/seed-*/"$row/score-$SCORED/stamp.json")
  if ((${#scored[@]} > 1)); then several+=("${scored[@]%/score-*}"); fi
done
rm -f "$EXP"/mvq/seeds.{json,txt}
if ((${#several[@]})); then table seeds "${several[@]}"; fi

embeddings=$(cat "$EXP"/mvq/hidden/shard-*.safetensors | wc -c) # in float32, without an index
{
  printf '%-12s %12s %10s %8s %12s\n' targets bytes 'x smaller' 'made s' 'quantizer s'
  for store in "$EXP"/mvq/{codebook-?,codebook-??,hidden}; do
    [[ -f $store/stamp.json ]] || continue
    bytes=$(cat "$store"/* | wc -c) quantizer=
    if [[ $store == *codebook* ]]; then quantizer=$(< "${store/codebook/quantizer}.seconds"); fi
    smaller=$(awk "BEGIN { print $embeddings / $bytes }")
    printf '%-12s %12d %10.2f %8s %12s\n' "${store##*/}" "$bytes" "$smaller" "$(< "$store.seconds")" "$quantizer"
  done
} > "$EXP/mvq/storage.txt"
