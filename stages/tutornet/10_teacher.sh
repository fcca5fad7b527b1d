#!/usr/bin/env bash
# Stage 10: a teacher of TutorNet's tables.
# Usage:   10_teacher.sh CORPUS conv | blstm | transformer [restore]     (a folder of stages/corpora)
#
# Reads:   $SEQUENCE_TEACHER_CUTS, CORPUS/conf; with restore the record in $RECORDS
# Writes:  $EXP/tutornet/TEACHER/teacher
# Takes:   five to ten minutes on one core
# Showed:  docs/results/tutornet.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

teacher=${2:?which teacher? conv, blstm or transformer}
source stages/tutornet/teachers.sh
train_in "tutornet/$teacher/teacher" "${3-}" "$CONF/$teacher-teacher.yaml" "${TRAIN[@]}" \
  --set data.train="$SEQUENCE_TEACHER_CUTS"
