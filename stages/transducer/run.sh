#!/usr/bin/env bash
# The tables of transducers, offline and streaming: MVQ-KD (Guo 2022), Seq-KD, ERR-KD and a mixture, from an offline teacher.
# Usage:   run.sh digits | fsdd     (make transducer-tables; make transducer-tables-fsdd CORPUS=folder)
#
# Baseline and MVQ-KD first, of the offline and then of the streaming student, with every delay; then the other rows; then the
# deciding ones with $TRANSDUCER_MORE_SEEDS, MVQ-KD with the delay that did best on dev. Streaming students are scored with
# several chunks. A row that has a run record in $RECORDS, of its settings and data, is restored; each other is recorded.
#
# Reads:   $CORPUS, the folder of fsdd; $TRANSDUCER_STUDENTS, $TRANSDUCER_ROWS, $TRANSDUCER_DELAYS, $TRANSDUCER_MORE_SEEDS;
#          $RECORDS, $FRESH, $BUDGET; $SIZE, $DATA, $EXP
# Writes:  $EXP/transducer: teacher, quantizer, codebook, nbest, STUDENT/seed-N/ROW, STUDENT/{compare,seeds}.*;
#          $RECORDS/transducer/{teacher,STUDENT/seed-N/ROW}.json
# Takes:   on two cores: digits some 70 minutes
# Showed:  docs/results/transducer.md
set -euo pipefail
corpus=${1:?which corpus? digits or fsdd}
case $corpus in digits | fsdd) ;; *) echo "$corpus: expected digits or fsdd" >&2; exit 2 ;; esac
source "$(dirname "$0")/../corpora/$corpus/settings.sh"
source stages/shared.sh

students=${TRANSDUCER_STUDENTS:-offline streaming} more_seeds=${TRANSDUCER_MORE_SEEDS-2 3}
for student in $students; do
  case $student in offline | streaming) ;; *) echo "$student: expected students of offline and streaming" >&2; exit 2 ;; esac
done
rows=${TRANSDUCER_ROWS-baseline mvq seq-kd err-kd mvq+seq-kd} delays=${TRANSDUCER_DELAYS-0 1 2 4}
for row in $(without "$rows" "baseline mvq seq-kd err-kd mvq+seq-kd"); do
  echo "TRANSDUCER_ROWS: $row: expected some of baseline mvq seq-kd err-kd mvq+seq-kd" >&2
  exit 2
done
folder() { echo "transducer/$student/seed-$1/$2"; }
train() { stage "$1" transducer/30_student "$student" "${@:2}"; }
score() {
  local chunk
  stage "$1" transducer/40_score "$student/seed-$1/$2" || return
  if [[ $student == streaming ]]; then
    for chunk in $CHUNKS; do stage "$1" transducer/40_score "$student/seed-$1/$2" "$chunk" || return; done
  fi
}
scores() {
  local set chunk
  for set in $SCORED; do
    echo "score-$set"
    if [[ ${student-} == streaming && $# -gt 0 ]]; then for chunk in $CHUNKS; do echo "score-$set-chunk-$chunk"; done; fi
  done
}
teacher() { stage 1 transducer/10_teacher "$@"; }
score_teacher() { stage 1 transducer/40_score teacher; }
targets() { # ROW ...
  local row
  if [[ $(without "$*" baseline) ]]; then require_weights transducer/teacher $(scores); fi
  for row in "$@"; do
    case $row in mvq*) echo "1 transducer/20_targets codebook" ;; esac
    case $row in *seq-kd | err-kd) echo "1 transducer/20_targets nbest" ;; esac
  done | sort -u | side_by_side stage
}
# STUDENT ROW ...: the names that these rows have for the student, MVQ-KD's with the delay that did best on dev.
named() {
  local row mvq=mvq
  if [[ $1 == streaming ]]; then mvq=$(best_trained "$EXP/transducer/streaming/seed-1" $(printf 'mvq-d%s\n' $delays)); fi
  for row in "${@:2}"; do echo "${row/#mvq/$mvq}"; done
}
export student SCORED CHUNKS="4 16"
export -f folder train score scores

prepare_corpus
stage 1 sequence/10_cuts
make_teacher transducer/teacher $(scores)
first=$(within "baseline mvq" "$rows" | xargs) others=$(within "seq-kd err-kd mvq+seq-kd" "$rows" | xargs)
first_rows() { # of the student
  if [[ $student == streaming && " $first " == *" mvq "* ]]; then
    xargs <<< "${first/mvq/} $(printf 'mvq-d%s ' $delays)"
  else echo "$first"; fi
}
for student in $students; do make_rows 1 $(first_rows); done
for student in $students; do make_rows 1 $(named "$student" $others); done
for student in $students; do
  if [[ $first == "baseline mvq" ]]; then make_rows "$more_seeds" $(named "$student" $first); fi
done
for student in $students; do
  all="$(first_rows) $(named "$student" $others | xargs)"
  stage 1 student_tables "transducer/$student" transducer/teacher $(finished 1 $all)
  note_missing "$EXP/transducer/$student"/*.txt <<< "$(not_run 1 $all; not_run "$more_seeds" $(named "$student" $first))"
  mkdir -p "$EXP/transducer/$student"
  (cd "$EXP/transducer/$student" && find . -maxdepth 1 -name '*.txt' -printf '%f\n' | sort | xargs -r tail -v -n +1)
done
