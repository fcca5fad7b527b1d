#!/usr/bin/env bash
# Stage 30: the teacher's answers: N-best lists, and codebook indexes of a layer.
#
# Reads:   $DATA, $EXP/teacher
# Writes:  $EXP/{nbest,quantizer,codebook}
# Takes:   a minute
# Showed:  see RESULTS.md
set -euo pipefail
source "$(dirname "$0")/settings.sh"

ASK=(--teacher "$EXP/teacher" --cuts "$DATA/cuts_train_small.jsonl.gz")
asrkd distill nbest "${ASK[@]}" --out "$EXP/nbest" --beam 8 --nbest 4 --jobs "$JOBS"
asrkd distill quantizer "${ASK[@]}" --out "$EXP/quantizer" --layer 3 --codebooks 4 --seed "$SEED" \
  "${QUANTIZER[@]}"
asrkd distill codebook "${ASK[@]}" --out "$EXP/codebook" --quantizer "$EXP/quantizer" --jobs "$JOBS"
