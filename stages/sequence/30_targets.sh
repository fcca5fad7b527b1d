#!/usr/bin/env bash
# Stage 30: the hypotheses for the students of the Seq-KD and ERR-KD tables.
# Usage:   30_targets.sh CORPUS STUDENT BEAM     (as many hypotheses are stored as the beam has)
#
# Reads:   the student's cuts, $EXP/sequence/FAMILY/teacher
# Writes:  $EXP/sequence/FAMILY/nbest-BEAM, and weights-BEAM.txt beside it: the weights that ERR-KD gives them
# Takes:   a minute
# Showed:  docs/results/seq-kd.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

student=${2:?which student? one of the names in $CONF} beam=${3:?a beam}
source stages/sequence/families.sh
store=$SEQUENCE/$FAMILY/nbest-$beam weights=$SEQUENCE/$FAMILY/weights-$beam.txt
asrkd distill nbest --teacher "$SEQUENCE/$FAMILY/teacher" --cuts "$STUDENT_CUTS" --out "$store" \
  "${DISTILL_SEARCH[@]}" --beam "$beam" --nbest "$beam" --jobs "$JOBS"
if [[ $store/stamp.json -nt $weights ]]; then
  asrkd targets weights "$store" --set num_hypotheses="$beam" > "$weights.partial"
  mv "$weights.partial" "$weights"
fi
