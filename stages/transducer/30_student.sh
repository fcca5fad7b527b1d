#!/usr/bin/env bash
# Stage 30: a row of the transducer tables.
# Usage:   30_student.sh CORPUS offline | streaming ROW [restore]
#
#          baseline          the transcripts
#          mvq               and the teacher's codebook indexes (MVQ-KD)
#          seq-kd            the teacher's five best hypotheses in place of the transcripts (Seq-KD)
#          err-kd            each of them weighted by exp(-WER) (ERR-KD)
#          mvq+seq-kd        codebook indexes and hypotheses
#          mvq-dN, mvq-dN+seq-kd    of a streaming student: indexes of the frame N before, which the paper calls delta
#
# Reads:   $DATA, $EXP/transducer/{nbest,codebook}; with restore the row's record in $RECORDS
# Writes:  $EXP/transducer/STUDENT/seed-$SEED/ROW
# Takes:   four to eight minutes on one core
# Showed:  docs/results/transducer.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

student=${2:?which student? offline or streaming} row=${3:?which row?}
case $student in
  offline) config=transducer ;;
  streaming) config=transducer-streaming ;;
  *) echo "$student: expected offline or streaming" >&2; exit 2 ;;
esac
targets=$EXP/transducer hypotheses="targets: $EXP/transducer/nbest, num_hypotheses: 5"
mvq="{codebook: {targets: $targets/codebook, layer: 2, scale: $MVQ_SCALE"
case $row in
  mvq-d[0-9] | mvq-d[0-9]+seq-kd) delay=${row#mvq-d} mvq+=", delay: ${delay%+*}}}" ;;
  *) mvq+="}}" ;;
esac
transducer() { echo "{transducer: {warmup_updates: $TRANSDUCER_WARMUP, $1}}"; }
case ${row/mvq-d[0-9]/mvq} in
  baseline) losses=$(transducer "targets: transcript") ;;
  mvq) losses="$(transducer "targets: transcript"), $mvq" ;;
  seq-kd) losses=$(transducer "$hypotheses") ;;
  err-kd) losses=$(transducer "$hypotheses, weights: {beta: 1}") ;;
  mvq+seq-kd) losses="$(transducer "$hypotheses"), $mvq" ;;
  *) echo "$row: expected one of the rows in $0" >&2; exit 2 ;;
esac
train_in "transducer/$student/seed-$SEED/$row" "${4-}" "$CONF/$config.yaml" "${STUDENT[@]}" \
  --set phases.0.objectives="[$losses]"
