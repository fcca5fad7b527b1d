#!/usr/bin/env bash
# Stage 20: targets of a teacher for the students of TutorNet's tables.
# Usage:   20_targets.sh CORPUS TEACHER hidden | posterior | nbest | codebook
#
# Reads:   $STUDENT_CUTS, $EXP/tutornet/TEACHER/teacher
# Writes:  $EXP/tutornet/TEACHER/KIND; for codebook the quantizer beside it; for hidden weights.txt: the frame weights
# Takes:   a minute
# Showed:  docs/results/tutornet.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

teacher=${2:?which teacher? conv, blstm or transformer} kind=${3:?which targets? hidden, posterior, nbest or codebook}
source stages/tutornet/teachers.sh
folder=$TUTORNET/$teacher
mkdir -p "$folder"
distill() { # KIND NAME OPTION ...
  asrkd distill "$1" --teacher "$folder/teacher" --cuts "$STUDENT_CUTS" --out "$folder/$2" "${@:3}"
}
layer=(--layer "$TEACHER_LAYER" --tap before_norm)
case $kind in
  hidden)
    distill hidden hidden "${layer[@]}" --jobs "$JOBS"
    asrkd targets weights "$folder/hidden" > "$folder/weights.partial"
    mv "$folder/weights.partial" "$folder/weights.txt"
    ;;
  posterior) distill posterior posterior --top-k all --jobs "$JOBS" ;;
  nbest) distill nbest nbest --beam 5 --nbest 5 --jobs "$JOBS" ;;
  codebook)
    distill quantizer quantizer "${layer[@]}" --codebooks 4 --seed 1 "${QUANTIZER[@]}"
    distill codebook codebook --quantizer "$folder/quantizer" --jobs "$JOBS"
    ;;
  *) echo "$kind: expected hidden, posterior, nbest or codebook" >&2; exit 2 ;;
esac
