#!/usr/bin/env bash
# Which row of a table did best on dev; the test set has no say in it.
# Usage:   best_row.sh FOLDER ROW ...
#
# Reads:   FOLDER/ROW/stamp.json
# Prints:  the row with the lowest word error rate, the first of equal ones
set -euo pipefail
for row in "${@:2}"; do
  wer=$(grep -o '"wer": *[0-9.e-]*' "$1/$row/stamp.json")
  echo "${wer##*[: ]} $row"
done | sort -s -g -k1,1 | { read -r _ best && echo "$best" && cat > /dev/null; }
