#!/usr/bin/env bash
# Stage 10: the teacher of the transducer tables, an offline transducer.
# Usage:   10_teacher.sh CORPUS [restore]     (a folder of stages/corpora)
#
# Reads:   $SEQUENCE_TEACHER_CUTS, CORPUS/conf/transducer-teacher.yaml; with restore its record in $RECORDS
# Writes:  $EXP/transducer/teacher
# Takes:   ten minutes on one core
# Showed:  docs/results/transducer.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

train_in transducer/teacher "${2-}" "$CONF/transducer-teacher.yaml" "${TRAIN[@]}" --set data.train="$SEQUENCE_TEACHER_CUTS"
