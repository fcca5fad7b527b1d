#!/usr/bin/env bash
# Stage 20: the student by itself, trained on the transcripts.
# Usage:   20_baseline.sh CORPUS         (a folder beside this script: digits, fsdd, librispeech)
#
# Reads:   $DATA, CORPUS/conf/baseline.yaml
# Writes:  $EXP/baseline
# Takes:   two to six minutes on one core; CORPUS/RESULTS.md says what it showed
set -euo pipefail
source "$(dirname "$0")/${1:?which corpus?}/settings.sh"

asrkd train "$CONF/baseline.yaml" --out "$EXP/baseline" "${STUDENT[@]}"
