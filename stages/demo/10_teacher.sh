#!/usr/bin/env bash
# Stage 10: the teacher, a Conformer-CTC.
# Usage:   10_teacher.sh CORPUS     (a folder of stages/corpora: digits, fsdd, librispeech)
#
# Reads:   $DATA, CORPUS/conf/teacher.yaml
# Writes:  $EXP/teacher
# Takes:   two to six minutes on one core
# Showed:  docs/results/{demo,fsdd,librispeech}.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

asrkd train "$CONF/teacher.yaml" --out "$EXP/teacher" "${TEACHER[@]}"
