#!/usr/bin/env bash
# Stage 40: word errors of a system of TutorNet's tables: by CTC alone, or jointly with a decoder where there is one.
# Usage:   40_score.sh CORPUS SYSTEM     (a folder in $EXP/tutornet: conv/teacher, blstm/seed-1/skd, ...)
#
# Reads:   $DATA/cuts_SET.jsonl.gz, $EXP/tutornet/SYSTEM; $SCORED, the sets
# Writes:  $EXP/tutornet/SYSTEM/score-SET
# Takes:   half a minute
# Showed:  docs/results/tutornet.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

system=${2:?which system? one of the folders in $EXP/tutornet} search=(--search greedy)
case $system in las/* | transformer/*) search=(--search joint --ctc-weight 0.5 --beam 5) ;; esac
for set in $SCORED; do
  asrkd score "$EXP/tutornet/$system" --cuts "$DATA/cuts_$set.jsonl.gz" --out "$EXP/tutornet/$system/score-$set" \
    --jobs "$JOBS" "${search[@]}"
done
