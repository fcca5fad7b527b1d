#!/usr/bin/env bash
# Stage 36: the hypotheses that students of the Seq-KD and ERR-KD tables learn from.
# Usage:   36_sequence_targets.sh CORPUS STUDENT BEAM     (as many hypotheses are stored as the beam has)
#
# Reads:   the student's cuts, $EXP/sequence/FAMILY/teacher
# Writes:  $EXP/sequence/FAMILY/nbest-BEAM, and weights-BEAM.txt beside it: how ERR-KD weighs them
# Takes:   a minute
set -euo pipefail
source "$(dirname "$0")/${1:?which corpus?}/settings.sh"

student=${2:?whose? a student of $CONF} beam=${3:?a beam}
source stages/sequence.sh
asrkd distill nbest --teacher "$SEQUENCE/$FAMILY/teacher" --cuts "$STUDENT_CUTS" --out "$SEQUENCE/$FAMILY/nbest-$beam" \
  "${ASKED[@]}" --beam "$beam" --nbest "$beam" --jobs "$JOBS"
asrkd targets weights "$SEQUENCE/$FAMILY/nbest-$beam" --set num_hypotheses="$beam" > "$SEQUENCE/$FAMILY/weights-$beam.txt"
