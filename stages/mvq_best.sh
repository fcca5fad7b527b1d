#!/usr/bin/env bash
# Which row of the MVQ-KD table did best on dev with seed 1; the test set has no say in it.
# Usage:   mvq_best.sh ROW ...
#
# Reads:   $EXP/mvq/seed-1/ROW/stamp.json
# Prints:  the row with the lowest word error rate, the first of equal ones
set -euo pipefail
for row in "$@"; do
  wer=$(grep -o '"wer": *[0-9.e-]*' "$EXP/mvq/seed-1/$row/stamp.json")
  echo "${wer##*[: ]} $row"
done | sort -s -g -k1,1 | { read -r _ best && echo "$best" && cat > /dev/null; }
