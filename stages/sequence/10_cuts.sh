#!/usr/bin/env bash
# Stage 10: for the tables of Seq-KD and ERR-KD, cuts for a teacher, and cuts of which a fifth is transcribed.
# Usage:   10_cuts.sh CORPUS    (a folder of stages/corpora: digits, fsdd)
#
# Reads:   $DATA/cuts_train.jsonl.gz, the student's cuts
# Writes:  $DATA/cuts_train_fifth.jsonl.gz, the student's cuts, a fifth of them with their transcripts;
#          if a teacher is trained on others, $DATA/cuts_train_others.jsonl.gz, all others of train
# Takes:   seconds
# Showed:  the rows `fifth` of docs/results/seq-kd.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

train=$DATA/cuts_train.jsonl.gz
if [[ $SEQUENCE_TEACHER_CUTS != "$STUDENT_CUTS" ]]; then
  asrkd prepare subset "$train" --without "$STUDENT_CUTS" --out "$DATA/cuts_train_others.jsonl.gz"
fi
asrkd prepare subset "$STUDENT_CUTS" --transcripts 1/5 --out "$DATA/cuts_train_fifth.jsonl.gz"
