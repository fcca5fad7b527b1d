#!/usr/bin/env bash
# Stage 10: the teacher, a Conformer-CTC.
#
# Reads:   $DATA
# Writes:  $EXP/teacher
# Takes:   two to six minutes on one core (the small corpora of RESULTS.md)
# Showed:  see RESULTS.md
set -euo pipefail
source "$(dirname "$0")/settings.sh"

asrkd train stages/librispeech/conf/teacher.yaml --out "$EXP/teacher" "${TEACHER[@]}"
