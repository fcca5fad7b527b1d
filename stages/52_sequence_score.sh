#!/usr/bin/env bash
# Stage 52: word errors of a system of the Seq-KD and ERR-KD tables, by the search of its kind, or with a language model.
# Usage:   52_sequence_score.sh CORPUS STUDENT SYSTEM [lm]     (SYSTEM: a folder in $EXP/sequence)
#
# Reads:   $DATA/cuts_$SCORED.jsonl.gz, $EXP/sequence/SYSTEM; $EXP/sequence/lm
# Writes:  $EXP/sequence/SYSTEM/score-$SCORED, or score-$SCORED-lm
# Takes:   half a minute
set -euo pipefail
source "$(dirname "$0")/${1:?which corpus?}/settings.sh"

student=${2:?of which kind? a student of $CONF} system=${3:?which system? one of the folders in $EXP/sequence}
source stages/sequence.sh
if [[ ${4-} == lm ]]; then SEARCH=("${SEARCH_LM[@]}"); fi
asrkd score "$SEQUENCE/$system" --cuts "$DATA/cuts_$SCORED.jsonl.gz" --out "$SEQUENCE/$system/score-$SCORED${4:+-$4}" \
  --jobs "$JOBS" "${SEARCH[@]}"
