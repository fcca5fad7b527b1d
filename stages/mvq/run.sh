#!/usr/bin/env bash
# The tables of MVQ-KD (Guo 2022): 1 to 16 codebooks beside regression and a teacher on the fly.
# Usage:   run.sh digits | fsdd     (make mvq-tables CORPUS=folder: both)
#
# Every row with seed 1; then $MVQ_MORE_SEEDS of the deciding rows and of the best other row on dev.
#
# Reads:   $CORPUS, the folder of fsdd; $MVQ_ROWS, $MVQ_DECIDING, $MVQ_MORE_SEEDS; $SIZE, $DATA, $EXP
# Writes:  $EXP/teacher; $EXP/mvq: stores, seed-N/ROW, best, and the tables {compare,seeds}.{json,txt} and storage.txt
# Takes:   on two busy cores: digits 71 minutes, fsdd 31
# Showed:  docs/results/mvq-kd.md
set -euo pipefail
corpus=${1:?which corpus? digits or fsdd}
case $corpus in digits | fsdd) ;; *) echo "$corpus: expected digits or fsdd" >&2; exit 2 ;; esac
source "$(dirname "$0")/../corpora/$corpus/settings.sh"
source stages/shared.sh

rows=${MVQ_ROWS-baseline mvq-1 mvq-2 mvq-4 mvq-8 mvq-16 l1 l2 live}
deciding=$(within "${MVQ_DECIDING-baseline mvq-16 l2}" "$rows")
more_seeds=${MVQ_MORE_SEEDS-2 3}

targets() { # ROW ...: the stores that they read
  local row
  for row in "$@"; do
    case $row in
      mvq-*) echo "1 mvq/10_targets ${row#mvq-}" ;;
      l1 | l2) echo "1 mvq/10_targets hidden" ;;
    esac
  done | sort -u | side_by_side stage
}
train_and_score() { # SEEDS ROW ...
  local seed row
  for seed in $1; do
    for row in "${@:2}"; do echo "$seed mvq/20_student $row"; done
  done | side_by_side stage
  for seed in $1; do
    for row in "${@:2}"; do echo "$seed demo/50_score mvq/seed-$seed/$row"; done
  done | side_by_side stage
}

prepare_corpus
stage 1 demo/10_teacher
stage 1 demo/50_score teacher
targets $rows
train_and_score 1 $rows
candidates=$(without "$rows" "${deciding//$'\n'/ } live")
best=${candidates:+$(best_row "$EXP/mvq/seed-1" stamp.json $candidates)}
echo "$best" > "$EXP/mvq/best"
train_and_score "$more_seeds" $deciding $best
stage 1 mvq/30_table $rows
for table in "$EXP"/mvq/{compare,seeds}*.txt "$EXP/mvq/storage.txt"; do if [[ -f $table ]]; then cat "$table"; fi; done
