#!/usr/bin/env bash
# Stage 50: word errors of a system.
# Usage:   50_score.sh CORPUS SYSTEM     (a folder beside this script, and one of those in $EXP)
#
# Reads:   $DATA/cuts_$SCORED.jsonl.gz, $EXP/SYSTEM
# Writes:  $EXP/SYSTEM/score-$SCORED
# Takes:   half a minute
set -euo pipefail
source "$(dirname "$0")/${1:?which corpus?}/settings.sh"

name=${2:?which system? one of the folders in $EXP}
asrkd score "$EXP/$name" --cuts "$DATA/cuts_$SCORED.jsonl.gz" --out "$EXP/$name/score-$SCORED" --jobs "$JOBS"
