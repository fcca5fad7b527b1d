#!/usr/bin/env bash
# Stage 30: the teacher's targets for the students: N-best lists, and codebook indexes of a layer.
# Usage:   30_distill.sh CORPUS          (a folder of stages/corpora; all three)
#          30_distill.sh CORPUS nbest | quantizer | codebook [OPTION ...]
#
# Reads:   $DATA, $EXP/teacher
# Writes:  $EXP/{nbest,quantizer,codebook}
# Takes:   a minute
# Showed:  docs/results/{demo,fsdd,librispeech}.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

distill() { asrkd distill "$1" --teacher "$EXP/teacher" --cuts "$STUDENT_CUTS" --out "$EXP/$1" "${@:2}"; }
nbest() { distill nbest --beam 8 --nbest 4 --jobs "$JOBS" "$@"; }
quantizer() { distill quantizer --layer 3 --codebooks 4 --seed "$SEED" "${QUANTIZER[@]}" "$@"; }
codebook() { distill codebook --quantizer "$EXP/quantizer" --jobs "$JOBS" "$@"; }

case ${2-} in
  "") nbest && quantizer && codebook ;;
  nbest | quantizer | codebook) "${@:2}" ;;
  *) echo "$2: expected nbest, quantizer or codebook" >&2 && exit 2 ;;
esac
