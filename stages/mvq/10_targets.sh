#!/usr/bin/env bash
# Stage 10: the targets of a row of the MVQ-KD tables: codebook indexes, or the embeddings themselves.
# Usage:   10_targets.sh CORPUS 1 | 2 | 4 | 8 | 16 | hidden | hidden-before
#          (so many codebooks; or the embeddings, after the layer's norm or before it)
#
# Reads:   $DATA, $EXP/teacher (a corpus's settings may name another, its layer, and a device for it)
# Writes:  $EXP/mvq/{quantizer-N,codebook-N}, $EXP/mvq/hidden or hidden-before; NAME.seconds beside each: the time it took
# Takes:   up to two minutes on a core, most of it for the quantizer
# Showed:  docs/results/mvq-kd.md
set -euo pipefail
MVQ_DEVICE=()
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

layer=${MVQ_LAYER:-3}
targets=${2:?how many codebooks? 1, 2, 4, 8, 16, or hidden, hidden-before}
distill() { # KIND NAME OPTION ...
  local started=$SECONDS
  asrkd distill "$1" --teacher "${MVQ_TEACHER:-$EXP/teacher}" --cuts "$STUDENT_CUTS" --out "$EXP/mvq/$2" \
    "${MVQ_DEVICE[@]}" "${@:3}"
  [[ -f $EXP/mvq/$2.seconds ]] || echo $((SECONDS - started)) > "$EXP/mvq/$2.seconds"
}
# Of dev too, as validation needs them; the quantizer is fitted to train alone.
with_dev=("${DEV_CUTS[@]/#/--cuts=}" --jobs "$JOBS")
case $targets in
  hidden) distill hidden hidden --layer "$layer" --dtype float32 "${with_dev[@]}" ;;
  hidden-before) distill hidden hidden-before --layer "$layer" --tap before_norm --dtype float32 "${with_dev[@]}" ;;
  *)
    distill quantizer "quantizer-$targets" --layer "$layer" --codebooks "$targets" --seed 1 "${QUANTIZER[@]}"
    distill codebook "codebook-$targets" --quantizer "$EXP/mvq/quantizer-$targets" "${with_dev[@]}"
    ;;
esac
