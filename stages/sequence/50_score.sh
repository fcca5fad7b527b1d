#!/usr/bin/env bash
# Stage 50: word errors of a system of the Seq-KD and ERR-KD tables: by the search of its family, on dev by that search,
#           with a language model, or by the decoder alone.
# Usage:   50_score.sh CORPUS STUDENT SYSTEM [dev | lm | attention]     (SYSTEM: a folder in $EXP/sequence)
#
# Reads:   $DATA/cuts_$SCORED.jsonl.gz or cuts_dev.jsonl.gz, $EXP/sequence/SYSTEM; $EXP/sequence/lm
# Writes:  $EXP/sequence/SYSTEM/score-$SCORED, score-dev, score-$SCORED-lm, or score-$SCORED-attention
# Takes:   half a minute
# Showed:  docs/results/seq-kd.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

student=${2:?of which family? a student of $CONF} system=${3:?which system? one of the folders in $EXP/sequence}
source stages/sequence/families.sh
score=score-$SCORED
case ${4-} in
  "") ;;
  dev) SCORED=dev score=score-dev ;;
  lm) SEARCH=("${SEARCH_LM[@]}") score+=-lm ;;
  attention) SEARCH=("${SEARCH_ATTENTION[@]}") score+=-attention ;;
  *) echo "$4: expected dev, lm or attention" >&2; exit 2 ;;
esac
asrkd score "$SEQUENCE/$system" --cuts "$DATA/cuts_$SCORED.jsonl.gz" --out "$SEQUENCE/$system/$score" \
  --jobs "$JOBS" "${SEARCH[@]}"
