#!/usr/bin/env bash
# Stage 50: word errors of a system.
# Usage:   50_score.sh teacher | baseline | ...
#
# Reads:   $DATA/cuts_dev.jsonl.gz, $EXP/<system>
# Writes:  $EXP/<system>/score-dev
# Takes:   half a minute
# Showed:  see RESULTS.md
set -euo pipefail
source "$(dirname "$0")/settings.sh"

name=${1:?which system? one of the folders in $EXP}
asrkd score "$EXP/$name" --cuts "$DATA/cuts_dev.jsonl.gz" --out "$EXP/$name/score-dev" --jobs "$JOBS"
