#!/usr/bin/env bash
# Stage 40: a student, the baseline's model trained on the teacher's targets.
# Usage:   40_student.sh CORPUS STUDENT  (a folder of stages/corpora, and one of the names in its conf)
#
# Reads:   $DATA, $EXP/{nbest,codebook}, CORPUS/conf/STUDENT.yaml
# Writes:  $EXP/STUDENT
# Takes:   two to six minutes on one core
# Showed:  docs/results/{demo,fsdd,librispeech}.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

name=${2:?which student? one of the names in $CONF}
asrkd train "$CONF/$name.yaml" --out "$EXP/$name" "${STUDENT[@]}" \
  --set stores.nbest="$EXP/nbest" --set stores.codebook="$EXP/codebook"
