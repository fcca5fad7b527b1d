#!/usr/bin/env bash
# Stage 20: targets of the teacher for the students of the transducer tables.
# Usage:   20_targets.sh CORPUS nbest | codebook
#
# Reads:   $STUDENT_CUTS, $EXP/transducer/teacher
# Writes:  $EXP/transducer/{nbest,codebook}; for codebook the quantizer beside it
# Takes:   a minute
# Showed:  docs/results/transducer.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

distill() { # KIND OPTION ...
  asrkd distill "$1" --teacher "$EXP/transducer/teacher" --cuts "$STUDENT_CUTS" --out "$EXP/transducer/$1" "${@:2}"
}
case ${2:?which targets? nbest or codebook} in
  nbest) distill nbest --search transducer-beam --beam 5 --nbest 5 --jobs "$JOBS" ;;
  codebook)
    distill quantizer --layer 3 --codebooks 4 --seed 1 "${QUANTIZER[@]}"
    distill codebook --quantizer "$EXP/transducer/quantizer" --jobs "$JOBS"
    ;;
  *) echo "$2: expected nbest or codebook" >&2; exit 2 ;;
esac
