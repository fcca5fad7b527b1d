#!/usr/bin/env bash
# Stage 00: cuts and features of the corpus in $1.
# Usage:   00_prepare.sh CORPUS
#
# Reads:   the corpus
# Writes:  $DATA
# Takes:   half a minute
# Showed:  see RESULTS.md
set -euo pipefail
source "$(dirname "$0")/settings.sh"

corpus=${1:?which corpus? its folder}
asrkd prepare librispeech "$corpus" --out "$DATA" --jobs "$JOBS"
