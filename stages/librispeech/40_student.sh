#!/usr/bin/env bash
# Stage 40: a student, the baseline's model trained towards the teacher's answers.
# Usage:   40_student.sh seq-kd | mvq-kd
#
# Reads:   $DATA, $EXP/{nbest,codebook}
# Writes:  $EXP/<name of the student>
# Takes:   two to six minutes on one core (the small corpora of RESULTS.md)
# Showed:  see RESULTS.md
set -euo pipefail
source "$(dirname "$0")/settings.sh"

name=${1:?which student? one of the names in stages/librispeech/conf}
asrkd train "stages/librispeech/conf/$name.yaml" --out "$EXP/$name" "${STUDENT[@]}" \
  --set stores.nbest="$EXP/nbest" --set stores.codebook="$EXP/codebook"
