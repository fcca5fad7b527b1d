#!/usr/bin/env bash
# Stage 20: a row of the MVQ-KD tables, the baseline's model trained on targets of the teacher of seed 1.
# Usage:   20_student.sh CORPUS baseline | mvq-N | l1 | l2 | live [restore]
#
# Reads:   $DATA, $EXP/mvq/{codebook-N,hidden}; for live $EXP/teacher, which computes the targets of l2 on the fly;
#          with restore the row's record in $RECORDS, and nothing is trained
#          (a corpus's settings may name configs of the baseline and of mvq-N, and a folder in place of mvq)
# Writes:  $EXP/mvq/seed-$SEED/ROW
# Takes:   three to six minutes on one core, live six times as long
# Showed:  docs/results/mvq-kd.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

row=${2:?which row? baseline, mvq-N, l1, l2 or live}
# Rows of digits with one and with 16 codebooks: as much as 0.6 of a mean over the codebooks, as the others have.
scale=(--set phases.0.objectives.1.codebook.scale=)
case $1/$row in
  digits/mvq-1) scale[1]+=0.3 ;;
  digits/mvq-16) scale[1]+=0.075 ;;
  *) scale=() ;;
esac
case $row in
  baseline) config=${MVQ_BASELINE:-baseline} targets=() ;;
  mvq-*) config=${MVQ_STUDENT:-mvq-kd} targets=(--set stores.codebook="$EXP/mvq/codebook-${row#mvq-}") ;;
  l1 | l2) config=$row targets=(--set stores.hidden="$EXP/mvq/hidden") ;;
  live) config=l2 targets=(--set stores.hidden="{teacher: ${MVQ_TEACHER:-$EXP/teacher}, layer: ${MVQ_LAYER:-3}}") ;;
  *) echo "$row: expected baseline, mvq-N, l1, l2 or live" >&2 && exit 2 ;;
esac
train_in "${MVQ_FOLDER:-mvq}/seed-$SEED/$row" "${3-}" "$CONF/$config.yaml" "${STUDENT[@]}" "${targets[@]}" "${scale[@]}"
