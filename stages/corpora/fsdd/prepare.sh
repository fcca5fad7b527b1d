#!/usr/bin/env bash
# Cuts and features of the corpus in $1, and a dev set out of train: strings whose recordings the rest of train lacks.
# Usage:   prepare.sh CORPUS
#
# Reads:   the corpus
# Writes:  $DATA
# Takes:   half a minute
# Showed:  docs/results/fsdd.md
set -euo pipefail
source "$(dirname "$0")/settings.sh"

corpus=${1:?which corpus? its folder}
train=$DATA/cuts_train.jsonl.gz heldout=$DATA/cuts_heldout.jsonl.gz
asrkd prepare tsv "$corpus" --out "$DATA" --jobs "$JOBS"
asrkd prepare subset "$train" --hold-out 72 --out "$heldout"
asrkd prepare subset "$train" --without "$heldout" --by recording --out "$STUDENT_CUTS"
