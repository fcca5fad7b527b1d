#!/usr/bin/env bash
# Stage 10: the teacher, a Conformer-CTC.
# Usage:   10_teacher.sh CORPUS [restore]     (a folder of stages/corpora: digits, fsdd, librispeech)
#
# Reads:   $DATA, CORPUS/conf/teacher.yaml; with restore its record in $RECORDS, and nothing is trained
# Writes:  $EXP/teacher
# Takes:   two to six minutes on one core
# Showed:  docs/results/{demo,fsdd,librispeech}.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

train_in teacher "${2-}" "$CONF/teacher.yaml" "${TEACHER[@]}"
