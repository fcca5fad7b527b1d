#!/usr/bin/env bash
# Stage 20: for the tables of Seq-KD and ERR-KD, the teacher of a student, or a language model.
# Usage:   20_teacher.sh CORPUS STUDENT [restore] | lm     (a folder of stages/corpora; a name in its conf)
#
# Reads:   $SEQUENCE_TEACHER_CUTS, CORPUS/conf; for lm the transcripts of train; with restore the record in $RECORDS
# Writes:  $EXP/sequence/FAMILY/teacher, for ctc of the same cuts a link to $EXP/teacher; or $EXP/sequence/lm
# Takes:   seven to eleven minutes on one core, las-teacher 25; lm one
# Showed:  docs/results/seq-kd.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

student=${2:?whose teacher? a student of $CONF, or lm}
if [[ $student == lm ]]; then exec asrkd train "$CONF/lm.yaml" --out "$EXP/sequence/lm" "${TEXT[@]}"; fi
source stages/sequence/families.sh
if [[ $TEACHER_FOLDER == teacher ]]; then
  mkdir -p "$SEQUENCE/$FAMILY"
  ln -sfnT ../../teacher "$SEQUENCE/$FAMILY/teacher"
  exec bash stages/demo/10_teacher.sh "$1" "${3-}"
fi
train_in "$TEACHER_FOLDER" "${3-}" "$CONF/$FAMILY-teacher.yaml" "${TRAIN[@]}" \
  --set data.train="$SEQUENCE_TEACHER_CUTS"
