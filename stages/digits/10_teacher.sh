#!/usr/bin/env bash
# Stage 10: the teacher, a Conformer-CTC.
#
# Reads:   $DATA
# Writes:  $EXP/teacher
# Takes:   four minutes
# Showed:  see RESULTS.md
set -euo pipefail
source "$(dirname "$0")/settings.sh"

asrkd train stages/digits/conf/teacher.yaml --out "$EXP/teacher" "${TEACHER[@]}"
