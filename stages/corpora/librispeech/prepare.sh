#!/usr/bin/env bash
# Cuts and features of the corpus in $1.
# Usage:   prepare.sh CORPUS
#
# Reads:   the corpus
# Writes:  $DATA
# Takes:   half a minute
# Showed:  docs/results/librispeech.md
set -euo pipefail
source "$(dirname "$0")/settings.sh"

corpus=${1:?which corpus? its folder}
asrkd prepare librispeech "$corpus" --out "$DATA" --jobs "$JOBS"
