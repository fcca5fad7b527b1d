#!/usr/bin/env bash
# Stage 35: what a row of the MVQ-KD table learns from: codebook indexes, or the embeddings themselves.
# Usage:   35_mvq_targets.sh CORPUS 1 | 2 | 4 | 8 | 16 | hidden      (so many codebooks, or the embeddings)
#
# Reads:   $DATA, $EXP/teacher (a recipe's settings may name another, its layer, and a device to ask it on)
# Writes:  $EXP/mvq/{quantizer-N,codebook-N}, or $EXP/mvq/hidden; NAME.seconds beside each: what it took
# Takes:   up to two minutes on a core, most of it for the quantizer
set -euo pipefail
MVQ_DEVICE=()
source "$(dirname "$0")/${1:?which corpus?}/settings.sh"

layer=${MVQ_LAYER:-3}
what=${2:?how many codebooks? 1, 2, 4, 8, 16, or hidden}
ask() { # KIND NAME OPTION ...
  local started=$SECONDS
  asrkd distill "$1" --teacher "${MVQ_TEACHER:-$EXP/teacher}" --cuts "$STUDENT_CUTS" --out "$EXP/mvq/$2" \
    "${MVQ_DEVICE[@]}" "${@:3}"
  [[ -f $EXP/mvq/$2.seconds ]] || echo $((SECONDS - started)) > "$EXP/mvq/$2.seconds"
}
# Of dev too, so that validation finds what it would ask the teacher for; the quantizer learns from train alone.
targets=(--cuts "$DATA/cuts_dev.jsonl.gz" --jobs "$JOBS")
case $what in
  hidden) ask hidden hidden --layer "$layer" --dtype float32 "${targets[@]}" ;;
  *)
    ask quantizer "quantizer-$what" --layer "$layer" --codebooks "$what" --seed 1 "${QUANTIZER[@]}"
    ask codebook "codebook-$what" --quantizer "$EXP/mvq/quantizer-$what" "${targets[@]}"
    ;;
esac
