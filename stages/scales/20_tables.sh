#!/usr/bin/env bash
# Stage 20: for each kind of targets, its scales side by side, over the seeds, against the default of 1.
# Usage:   20_tables.sh CORPUS TARGETS ...     (mvq-1, mvq-4, mvq-16, l1, l2, rkd)
#
# Reads:   $EXP/scales
# Writes:  $EXP/scales/TARGETS.{json,txt}
# Takes:   seconds
# Showed:  docs/results/scales.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

score=score-$FIRST_SCORED
for targets in "${@:2}"; do
  scored=("$EXP"/scales/seed-*/"$targets"@*/"$score/stamp.json") file=$EXP/scales/$targets
  rm -f "$file".{json,txt}
  if [[ -f ${scored[0]} && " ${scored[*]} " == *"/$targets@1/"* ]] && ((${#scored[@]} > 1)); then
    asrkd compare "${scored[@]%/score-*}" --baseline "$targets@1" --score "$score" "${COMPARE[@]}" \
      --out "$file.json" > "$file.txt"
  fi
done
