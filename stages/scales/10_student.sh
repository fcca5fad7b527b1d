#!/usr/bin/env bash
# Stage 10: a row of the table of scales: the demo's student with one frame objective, its scale, and 1,000 updates.
# Usage:   10_student.sh CORPUS TARGETS@SCALE [restore]    (mvq-4@1, l2@0.3, rkd@3)
#
#          mvq-N    indexes of N codebooks
#          l1 l2    distances to the teacher's layer, absolute and squared
#          rkd      TutorNet's distance with frame weights, to the same layer before its norm
#
# Reads:   $DATA, $EXP/mvq/{codebook-N,hidden,hidden-before}; with restore the row's record in $RECORDS
# Writes:  $EXP/scales/seed-$SEED/TARGETS@SCALE
# Takes:   a minute on one core
# Showed:  docs/results/scales.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

row=${2:?which row? such as mvq-4@1}
targets=${row%@*} scale=${row#*@}
# Frame weights of a teacher that has learned as little as a tiny one are all alike, which is refused.
weighting=
if [[ $SIZE == tiny ]]; then weighting="frame_weighting: false, "; fi
case $targets in
  mvq-*) objective="{codebook: {targets: $EXP/mvq/codebook-${targets#mvq-}, layer: 2, scale: $scale}}" ;;
  l1) objective="{embedding: {targets: $EXP/mvq/hidden, layer: 2, distance: absolute, scale: $scale}}" ;;
  l2) objective="{embedding: {targets: $EXP/mvq/hidden, layer: 2, scale: $scale}}" ;;
  rkd) objective="{representation: {targets: $EXP/mvq/hidden-before, layer: 2, ${weighting}scale: $scale}}" ;;
  *) echo "$row: expected mvq-N, l1, l2 or rkd, with @ and a scale" >&2; exit 2 ;;
esac
train_in "scales/seed-$SEED/$row" "${3-}" "$CONF/baseline.yaml" --set phases.0.steps=1000 --set optim.warmup_steps=250 \
  "${STUDENT[@]}" --set phases.0.objectives="[ctc, $objective]"
