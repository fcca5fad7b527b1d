#!/usr/bin/env bash
# Stage 20: the baseline, the student's model trained on the transcripts alone.
# Usage:   20_baseline.sh CORPUS     (a folder of stages/corpora: digits, fsdd, librispeech)
#
# Reads:   $DATA, CORPUS/conf/baseline.yaml
# Writes:  $EXP/baseline
# Takes:   two to six minutes on one core
# Showed:  docs/results/{demo,fsdd,librispeech}.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

asrkd train "$CONF/baseline.yaml" --out "$EXP/baseline" "${STUDENT[@]}"
