#!/usr/bin/env bash
# Stage 20: the student by itself, trained on the transcripts.
#
# Reads:   $DATA
# Writes:  $EXP/baseline
# Takes:   two to six minutes on one core (the small corpora of RESULTS.md)
# Showed:  see RESULTS.md
set -euo pipefail
source "$(dirname "$0")/settings.sh"

asrkd train stages/fsdd/conf/baseline.yaml --out "$EXP/baseline" "${STUDENT[@]}"
