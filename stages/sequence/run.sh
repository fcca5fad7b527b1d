#!/usr/bin/env bash
# The tables of Seq-KD (Mun'im 2019) and ERR-KD (Kim 2019): hypotheses in place of transcripts, weighted by their errors.
# Usage:   run.sh digits | fsdd     (make sequence-tables; make sequence-tables-fsdd CORPUS=folder)
#
# For each student the deciding rows (40_student.sh) and those of ERR-KD with seed 1; with $SEQUENCE_MORE_SEEDS, for students of
# $SEQUENCE_SEEDED, the deciding ones and the beta that did best on dev by the table's search; then every other row with seed 1.
# A row that has a run record in $RECORDS, of its settings and data, is restored from it; each other is recorded when it ends.
#
# Reads:   $CORPUS, the folder of fsdd; $SEQUENCE_STUDENTS (families.sh), $SEQUENCE_SEEDED, $SEQUENCE_ROWS,
#          $SEQUENCE_DECIDING, $SEQUENCE_WITH_LM, $SEQUENCE_MORE_SEEDS; $RECORDS, $FRESH, $BUDGET; $SIZE, $DATA, $EXP
# Writes:  $EXP/sequence: lm, FAMILY/{teacher,nbest-BEAM}, STUDENT/seed-N/ROW, and the tables STUDENT/*.{json,txt};
#          $RECORDS/sequence/{FAMILY/teacher,STUDENT/seed-N/ROW}.json
# Takes:   on two cores: digits 94 minutes with one student
# Showed:  docs/results/seq-kd.md
set -euo pipefail
corpus=${1:?which corpus? digits or fsdd}
case $corpus in digits | fsdd) ;; *) echo "$corpus: expected digits or fsdd" >&2; exit 2 ;; esac
source "$(dirname "$0")/../corpora/$corpus/settings.sh"
source stages/shared.sh

rows=${SEQUENCE_ROWS-baseline k5-b5 err-1 err-2 err-5 k1-b5 k10-b10 k1-b10 k5-b10 posterior fifth fifth-k5-b5}
# A teacher that was trained on the student's cuts has read all transcripts: no rows of a fifth of them.
if [[ $SEQUENCE_TEACHER_CUTS == "$STUDENT_CUTS" ]]; then rows=$(without "$rows" "fifth fifth-k5-b5"); fi
rows=$(xargs <<< "$rows")
deciding=$(within "${SEQUENCE_DECIDING-baseline k5-b5}" "$rows" | xargs)
with_lm=$(within "${SEQUENCE_WITH_LM-}" "$rows" | xargs)
weighted=$(grep -o 'err-[^ ]*' <<< "$rows" | xargs || true)
students=${SEQUENCE_STUDENTS:-ctc-tiny joint-small}
more_seeds=${SEQUENCE_MORE_SEEDS-2 3}

# The baseline of ctc-tiny is that of the MVQ-KD tables.
folder() { if [[ $student/$2 == ctc-tiny/baseline ]]; then echo "mvq/seed-$1/$2"; else echo "sequence/$student/seed-$1/$2"; fi; }
train() { stage "$1" sequence/40_student "$student" "${@:2}"; }
has_decoder() { [[ $student != ctc-* ]]; }
score() {
  stage "$1" sequence/50_score "$student" "$student/seed-$1/$2" || return
  if has_decoder; then stage "$1" sequence/50_score "$student" "$student/seed-$1/$2" attention || return; fi
  if [[ $1 == 1 && " $with_lm " == *" $2 "* ]]; then stage 1 sequence/50_score "$student" "$student/seed-1/$2" lm || return; fi
  if [[ $1/$2 == 1/err-* ]]; then stage 1 sequence/50_score "$student" "$student/seed-1/$2" dev; fi
}
scores() { # without those with a language model, which is not recorded
  local set
  for set in $SCORED; do
    echo "score-$set"
    if has_decoder; then echo "score-$set-attention"; fi
  done
  if [[ ${1-}/${2-} == 1/err-* ]]; then echo score-dev; fi
}
teacher() { stage 1 sequence/20_teacher "$student" "$@"; }
score_teacher() {
  {
    echo "1 sequence/50_score $student $FAMILY/teacher"
    if has_decoder; then echo "1 sequence/50_score $student $FAMILY/teacher attention"; fi
    if [[ -n $with_lm ]]; then echo "1 sequence/50_score $student $FAMILY/teacher lm"; fi
  } | side_by_side stage
}
targets() { # ROW ...: the lists of the beams that they read
  local row
  if [[ $(without "$*" "baseline fifth") ]]; then require_weights "$TEACHER_FOLDER" $(scores); fi
  for row in "$@"; do
    case ${row#fifth-} in
      k*-b*) echo "1 sequence/30_targets $student ${row##*-b}" ;;
      err-* | posterior) echo "1 sequence/30_targets $student 5" ;;
    esac
  done | sort -u | side_by_side stage
}
best_weighted() { # the row of ERR-KD that did best on dev
  local candidates
  candidates=$(finished 1 $weighted)
  if [[ -n $candidates ]]; then best_row "$EXP/sequence/$student/seed-1" score-dev/score.json $candidates; fi
}
seeded() { # the rows with more seeds
  if [[ " ${SEQUENCE_SEEDED-$students} " == *" $student "* ]]; then echo "$deciding $(best_weighted)"; fi
}
export student SCORED with_lm
export -f folder train has_decoder score scores

prepare_corpus
stage 1 sequence/10_cuts
if [[ -n $with_lm ]]; then stage 1 sequence/20_teacher lm; fi
for student in $students; do
  source stages/sequence/families.sh
  make_teacher "$TEACHER_FOLDER" $(scores)
  make_rows 1 $deciding $weighted
  make_rows "$more_seeds" $(seeded)
done
for student in $students; do
  source stages/sequence/families.sh
  make_rows 1 $(without "$rows" "$deciding $weighted")
  stage 1 sequence/60_tables "$student" $(finished 1 $rows)
  note_missing "$EXP/sequence/$student"/*.txt <<< "$(not_run 1 $rows; not_run "$more_seeds" $(seeded))"
  mkdir -p "$EXP/sequence/$student"
  (cd "$EXP/sequence/$student" && find . -maxdepth 1 -name '*.txt' -printf '%f\n' | sort | xargs -r tail -v -n +1)
done
