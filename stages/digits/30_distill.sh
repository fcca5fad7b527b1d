#!/usr/bin/env bash
# Stage 30: the teacher's answers: N-best lists, and codebook indexes of a layer.
# Usage:   30_distill.sh                              (all three)
#          30_distill.sh nbest | quantizer | codebook [OPTION ...]
#
# Reads:   $DATA, $EXP/teacher
# Writes:  $EXP/{nbest,quantizer,codebook}
# Takes:   a minute
# Showed:  see RESULTS.md
set -euo pipefail
source "$(dirname "$0")/settings.sh"

ASK=(--teacher "$EXP/teacher" --cuts "$DATA/cuts_train_small.jsonl.gz")
ask() { asrkd distill "$1" "${ASK[@]}" --out "$EXP/$1" "${@:2}"; }
nbest() { ask nbest --beam 8 --nbest 4 --jobs "$JOBS" "$@"; }
quantizer() { ask quantizer --layer 3 --codebooks 4 --seed "$SEED" "${QUANTIZER[@]}" "$@"; }
codebook() { ask codebook --quantizer "$EXP/quantizer" --jobs "$JOBS" "$@"; }

case ${1-} in
  "") nbest && quantizer && codebook ;;
  nbest | quantizer | codebook) "$@" ;;
  *) echo "$1: expected nbest, quantizer or codebook" >&2 && exit 2 ;;
esac
