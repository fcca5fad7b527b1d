#!/usr/bin/env bash
# Stage 50: word errors of a system.
# Usage:   50_score.sh CORPUS SYSTEM     (a folder of stages/corpora, and one of those in $EXP)
#
# Reads:   $DATA/cuts_$SCORED.jsonl.gz, $EXP/SYSTEM
# Writes:  $EXP/SYSTEM/score-$SCORED
# Takes:   half a minute
# Showed:  docs/results/{demo,fsdd,librispeech}.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

name=${2:?which system? one of the folders in $EXP}
asrkd score "$EXP/$name" --cuts "$DATA/cuts_$SCORED.jsonl.gz" --out "$EXP/$name/score-$SCORED" --jobs "$JOBS"
