#!/usr/bin/env bash
# The corpus, synthesized by espeak-ng, and its features.
# Usage:   prepare.sh
#
# Reads:   nothing
# Writes:  $DATA
# Takes:   a minute
# Showed:  docs/results/demo.md
set -euo pipefail
source "$(dirname "$0")/settings.sh"

asrkd prepare digits --out "$DATA" --jobs "$JOBS" "${PREPARE[@]}"
