#!/usr/bin/env bash
# Stage 40: a student, the baseline's model trained toward the teacher's answers.
# Usage:   40_student.sh CORPUS STUDENT  (a folder beside this script, and one of the names in its conf)
#
# Reads:   $DATA, $EXP/{nbest,codebook}, CORPUS/conf/STUDENT.yaml
# Writes:  $EXP/STUDENT
# Takes:   two to six minutes on one core; CORPUS/RESULTS.md says what it showed
set -euo pipefail
source "$(dirname "$0")/${1:?which corpus?}/settings.sh"

name=${2:?which student? one of the names in $CONF}
asrkd train "$CONF/$name.yaml" --out "$EXP/$name" "${STUDENT[@]}" \
  --set stores.nbest="$EXP/nbest" --set stores.codebook="$EXP/codebook"
