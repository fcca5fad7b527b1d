#!/usr/bin/env bash
# Stage 16: for the tables of Seq-KD and ERR-KD, who labels for a student, or a language model.
# Usage:   16_sequence_teacher.sh CORPUS STUDENT | lm     (a folder beside this script; a name in its conf)
#
# Reads:   $SEQUENCE_HEARD, CORPUS/conf; for lm the transcripts of train
# Writes:  $EXP/sequence/FAMILY/teacher, or $EXP/sequence/lm
# Takes:   seven to eleven minutes on one core, las-teacher 25; lm one
set -euo pipefail
source "$(dirname "$0")/${1:?which corpus?}/settings.sh"

student=${2:?whose? a student of $CONF, or lm}
if [[ $student == lm ]]; then exec asrkd train "$CONF/lm.yaml" --out "$EXP/sequence/lm" "${TEXT[@]}"; fi
source stages/sequence.sh
asrkd train "$CONF/$FAMILY-teacher.yaml" --out "$SEQUENCE/$FAMILY/teacher" "${TRAIN[@]}" \
  --set data.train="$SEQUENCE_HEARD"
