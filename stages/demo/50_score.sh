#!/usr/bin/env bash
# Stage 50: word errors of a system.
# Usage:   50_score.sh CORPUS SYSTEM     (a folder of stages/corpora, and one of those in $EXP)
#
# Reads:   $DATA/cuts_SET.jsonl.gz, $EXP/SYSTEM; $SCORED, the sets
# Writes:  $EXP/SYSTEM/score-SET
# Takes:   half a minute
# Showed:  docs/results/{demo,fsdd,librispeech}.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

name=${2:?which system? one of the folders in $EXP}
for set in $SCORED; do
  asrkd score "$EXP/$name" --cuts "$DATA/cuts_$set.jsonl.gz" --out "$EXP/$name/score-$set" --jobs "$JOBS" \
    "${SEARCH[@]}"
done
