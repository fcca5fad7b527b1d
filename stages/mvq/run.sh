#!/usr/bin/env bash
# The tables of MVQ-KD (Guo 2022): 1 to 16 codebooks beside regression and a teacher on the fly.
# Usage:   run.sh digits | fsdd     (make mvq-tables CORPUS=folder: both)
#
# The deciding rows with seed 1 and $MVQ_MORE_SEEDS; then the others with seed 1, and the best of them on dev with more seeds.
# A row that has a run record in $RECORDS, of its settings and data, is restored from it; each other is recorded when it ends.
#
# Reads:   $CORPUS, the folder of fsdd; $MVQ_ROWS, $MVQ_DECIDING, $MVQ_MORE_SEEDS; $RECORDS,
#          $FRESH, $BUDGET; $SIZE, $DATA, $EXP
# Writes:  $EXP/teacher; $EXP/mvq: stores, seed-N/ROW, best, and the tables {compare,seeds}.{json,txt} and storage.txt;
#          $RECORDS/{teacher,mvq/seed-N/ROW}.json
# Takes:   on two busy cores: digits 71 minutes, fsdd 31
# Showed:  docs/results/mvq-kd.md
set -euo pipefail
corpus=${1:?which corpus? digits or fsdd}
case $corpus in digits | fsdd) ;; *) echo "$corpus: expected digits or fsdd" >&2; exit 2 ;; esac
source "$(dirname "$0")/../corpora/$corpus/settings.sh"
source stages/shared.sh

rows=${MVQ_ROWS-baseline mvq-4 mvq-1 mvq-16 l1 l2 mvq-2 mvq-8 live}
deciding=$(within "${MVQ_DECIDING-baseline mvq-4}" "$rows" | xargs)
more_seeds=${MVQ_MORE_SEEDS-2 3}

folder() { echo "mvq/seed-$1/$2"; }
train() { stage "$1" mvq/20_student "${@:2}"; }
score() { stage "$1" demo/50_score "mvq/seed-$1/$2"; }
targets() { # ROW ...
  local row
  if [[ $(without "$*" baseline) ]]; then require_weights teacher $(scores); fi
  for row in "$@"; do
    case $row in
      mvq-*) echo "1 mvq/10_targets ${row#mvq-}" ;;
      l1 | l2) echo "1 mvq/10_targets hidden" ;;
    esac
  done | sort -u | side_by_side stage
}
export SCORED
export -f folder train score scores

prepare_corpus
make_teacher teacher $(scores)
make_rows 1 $deciding
make_rows "$more_seeds" $deciding
make_rows 1 $(without "$rows" "$deciding")
candidates=$(finished 1 $(without "$rows" "$deciding live"))
best=${candidates:+$(best_row "$EXP/mvq/seed-1" stamp.json $candidates)}
mkdir -p "$EXP/mvq"
echo "$best" > "$EXP/mvq/best"
make_rows "$more_seeds" $best
stage 1 mvq/30_table $(finished 1 $rows)
note_missing "$EXP"/mvq/compare*.txt <<< "$(not_run 1 $rows; not_run "$more_seeds" $deciding $best)"
for table in "$EXP"/mvq/{compare,seeds}*.txt "$EXP/mvq/storage.txt"; do if [[ -f $table ]]; then cat "$table"; fi; done
