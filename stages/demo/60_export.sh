#!/usr/bin/env bash
# Stage 60: a student as ONNX files, and its word errors where it is deployed: decoded by sherpa-onnx.
# Usage:   60_export.sh CORPUS SYSTEM     (a folder of stages/corpora, and one of those in $EXP)
#
# Reads:   $DATA/cuts_SET.jsonl.gz, $EXP/SYSTEM; $SCORED, the sets
# Writes:  $EXP/SYSTEM/export, and score-SET in it
# Takes:   half a minute
# Showed:  docs/results/demo.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

name=${2:?which system? one of the folders in $EXP}
asrkd export "$EXP/$name" --out "$EXP/$name/export"
for set in $SCORED; do
  asrkd score "$EXP/$name/export" --runtime sherpa-onnx --cuts "$DATA/cuts_$set.jsonl.gz" \
    --out "$EXP/$name/export/score-$set" --jobs "$JOBS"
done
