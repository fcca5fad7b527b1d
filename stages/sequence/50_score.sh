#!/usr/bin/env bash
# Stage 50: word errors of a system of the Seq-KD and ERR-KD tables: by the search of its family, on dev by that search,
#           with a language model, or by the decoder alone.
# Usage:   50_score.sh CORPUS STUDENT SYSTEM [dev | lm | attention]     (SYSTEM: a folder in $EXP/sequence)
#
# Reads:   $DATA/cuts_SET.jsonl.gz, $EXP/sequence/SYSTEM; $EXP/sequence/lm; $SCORED, the sets, or dev
# Writes:  $EXP/sequence/SYSTEM/score-SET, score-SET-lm, or score-SET-attention
# Takes:   half a minute
# Showed:  docs/results/seq-kd.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

student=${2:?of which family? a student of $CONF} system=${3:?which system? one of the folders in $EXP/sequence}
source stages/sequence/families.sh
search=
case ${4-} in
  "") ;;
  dev) SCORED=dev ;;
  lm) SEARCH=("${SEARCH_LM[@]}") search=-lm ;;
  attention) SEARCH=("${SEARCH_ATTENTION[@]}") search=-attention ;;
  *) echo "$4: expected dev, lm or attention" >&2; exit 2 ;;
esac
for set in $SCORED; do
  asrkd score "$SEQUENCE/$system" --cuts "$DATA/cuts_$set.jsonl.gz" --out "$SEQUENCE/$system/score-$set$search" \
    --jobs "$JOBS" "${SEARCH[@]}"
done
