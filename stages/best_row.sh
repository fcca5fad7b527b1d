#!/usr/bin/env bash
# Which row of a table did best on dev; the test set has no say in it.
# Usage:   best_row.sh FOLDER FILE ROW ...
#
# Reads:   FOLDER/ROW/FILE: the stamp.json of a training, or the score.json of a score on dev
# Prints:  the row with the lowest word error rate, the first of equal ones
set -euo pipefail
for row in "${@:3}"; do
  wer=$(grep -o '"wer": *[0-9.e-]*' "$1/$row/$2")
  echo "${wer##*[: ]} $row"
done | sort -s -g -k1,1 | { read -r _ best && echo "$best" && cat > /dev/null; }
