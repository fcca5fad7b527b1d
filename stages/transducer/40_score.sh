#!/usr/bin/env bash
# Stage 40: word errors of a system of the transducer tables by beam search; of a streaming one as a stream.
# Usage:   40_score.sh CORPUS SYSTEM [CHUNK]     (a folder in $EXP/transducer: teacher, offline/seed-1/mvq, ...; encoder
#          frames of a stream's chunk; by default as the model's config has it)
#
# Reads:   $DATA/cuts_SET.jsonl.gz, $EXP/transducer/SYSTEM; $SCORED, the sets
# Writes:  $EXP/transducer/SYSTEM/score-SET; with CHUNK score-SET-chunk-CHUNK
# Takes:   half a minute
# Showed:  docs/results/transducer.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

system=${2:?which system? one of the folders in $EXP/transducer} chunk=${3-} options=(--search transducer-greedy)
# As many frames of left context whatever the chunk.
if [[ $system == streaming/* ]]; then options+=(--chunk-frames "${chunk:-8}" --left-chunks $((32 / ${chunk:-8}))); fi
for set in $SCORED; do
  asrkd score "$EXP/transducer/$system" --cuts "$DATA/cuts_$set.jsonl.gz" \
    --out "$EXP/transducer/$system/score-$set${chunk:+-chunk-$chunk}" --jobs "$JOBS" "${options[@]}"
done
