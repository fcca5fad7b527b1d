#!/usr/bin/env bash
# Stage 52: word errors of a system of the Seq-KD and ERR-KD tables, by the search of its kind, with a language model, or
#          by the decoder alone.
# Usage:   52_sequence_score.sh CORPUS STUDENT SYSTEM [lm | attention]     (SYSTEM: a folder in $EXP/sequence)
#
# Reads:   $DATA/cuts_$SCORED.jsonl.gz, $EXP/sequence/SYSTEM; $EXP/sequence/lm
# Writes:  $EXP/sequence/SYSTEM/score-$SCORED, score-$SCORED-lm, or score-$SCORED-attention
# Takes:   half a minute
set -euo pipefail
source "$(dirname "$0")/${1:?which corpus?}/settings.sh"

student=${2:?of which kind? a student of $CONF} system=${3:?which system? one of the folders in $EXP/sequence}
source stages/sequence.sh
case ${4-} in
  "") ;;
  lm) SEARCH=("${SEARCH_LM[@]}") ;;
  attention) SEARCH=("${SEARCH_ATTENTION[@]}") ;;
  *) echo "$4: expected lm or attention" >&2; exit 2 ;;
esac
asrkd score "$SEQUENCE/$system" --cuts "$DATA/cuts_$SCORED.jsonl.gz" --out "$SEQUENCE/$system/score-$SCORED${4:+-$4}" \
  --jobs "$JOBS" "${SEARCH[@]}"
