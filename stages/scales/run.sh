#!/usr/bin/env bash
# The table of scales: whether a scale of 1 suits every frame objective, whatever its targets.
# Usage:   run.sh digits     (make scales-table)
#
# Each kind of targets with three scales and two seeds, 1,000 updates each. A row that has a run record in $RECORDS, of its
# settings and data, is restored from it; each other is recorded when it ends.
#
# Reads:   $SCALES_TARGETS, $SCALES, $SCALES_SEEDS; $RECORDS, $FRESH, $BUDGET; $SIZE, $DATA, $EXP
# Writes:  $EXP/teacher; $EXP/mvq: the stores; $EXP/scales: seed-N/TARGETS@SCALE, and TARGETS.{json,txt};
#          $RECORDS/scales/seed-N/TARGETS@SCALE.json
# Takes:   on two cores 30 minutes
# Showed:  docs/results/scales.md
set -euo pipefail
corpus=${1:?which corpus? digits}
if [[ $corpus != digits ]]; then echo "$corpus: expected digits" >&2; exit 2; fi
source "$(dirname "$0")/../corpora/$corpus/settings.sh"
source stages/shared.sh

kinds=${SCALES_TARGETS-mvq-1 mvq-4 mvq-16 l1 l2 rkd} scales=${SCALES-1 0.3 3} seeds=${SCALES_SEEDS-1 2}

folder() { echo "scales/seed-$1/$2"; }
train() { stage "$1" scales/10_student "${@:2}"; }
score() { stage "$1" demo/50_score "scales/seed-$1/$2"; }
targets() { # ROW ...
  local row
  require_weights teacher $(scores)
  for row in "$@"; do
    case $row in
      mvq-*) row=${row%@*} && echo "1 mvq/10_targets ${row#mvq-}" ;;
      rkd*) echo "1 mvq/10_targets hidden-before" ;;
      *) echo "1 mvq/10_targets hidden" ;;
    esac
  done | sort -u | side_by_side stage
}
export SCORED
export -f folder train score scores

rows=()
for scale in $scales; do
  for kind in $kinds; do rows+=("$kind@$scale"); done
done
prepare_corpus
make_teacher teacher $(scores)
make_rows "$seeds" "${rows[@]}"
stage 1 scales/20_tables $kinds
note_missing "$EXP"/scales/*.txt <<< "$(not_run "$seeds" "${rows[@]}")"
mkdir -p "$EXP/scales"
(cd "$EXP/scales" && find . -maxdepth 1 -name '*.txt' -printf '%f\n' | sort | xargs -r tail -v -n +1)
