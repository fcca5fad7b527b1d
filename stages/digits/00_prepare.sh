#!/usr/bin/env bash
# Stage 00: the corpus, spoken by espeak-ng, and its features.
#
# Reads:   nothing
# Writes:  $DATA
# Takes:   a minute
# Showed:  see RESULTS.md
set -euo pipefail
source "$(dirname "$0")/settings.sh"

asrkd prepare digits --out "$DATA" --jobs "$JOBS" "${PREPARE[@]}"
