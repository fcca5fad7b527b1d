#!/usr/bin/env bash
# The tables of Seq-KD (Mun'im 2019) and ERR-KD (Kim 2019): hypotheses in place of transcripts, weighted by their errors.
# Usage:   run.sh digits | fsdd     (make sequence-tables; make sequence-tables-fsdd CORPUS=folder)
#
# For each student every row (40_student.sh) with seed 1; for those of $SEQUENCE_SEEDED then $SEQUENCE_MORE_SEEDS of the
# deciding rows, and of ERR-KD with the beta that did best on dev by the table's search.
#
# Reads:   $CORPUS, the folder of fsdd; $SEQUENCE_STUDENTS (families.sh), $SEQUENCE_SEEDED, $SEQUENCE_ROWS,
#          $SEQUENCE_DECIDING, $SEQUENCE_WITH_LM, $SEQUENCE_MORE_SEEDS; $SIZE, $DATA, $EXP
# Writes:  $EXP/sequence: lm, FAMILY/{teacher,nbest-BEAM}, STUDENT/seed-N/ROW, and the tables STUDENT/*.{json,txt}
# Takes:   on two cores: digits 94 minutes with one student
# Showed:  docs/results/seq-kd.md
set -euo pipefail
corpus=${1:?which corpus? digits or fsdd}
case $corpus in digits | fsdd) ;; *) echo "$corpus: expected digits or fsdd" >&2; exit 2 ;; esac
source "$(dirname "$0")/../corpora/$corpus/settings.sh"
source stages/shared.sh

rows=${SEQUENCE_ROWS-baseline k1-b5 k1-b10 k5-b5 k5-b10 k10-b10 err-1 err-2 err-5 posterior fifth fifth-k5-b5}
# A teacher that was trained on the student's cuts has read all transcripts: no rows of a fifth of them.
if [[ $SEQUENCE_TEACHER_CUTS == "$STUDENT_CUTS" ]]; then rows=$(without "$rows" "fifth fifth-k5-b5"); fi
rows=$(xargs <<< "$rows")
deciding=$(within "${SEQUENCE_DECIDING-baseline k5-b5 fifth-k5-b5}" "$rows")
with_lm=$(within "${SEQUENCE_WITH_LM-baseline k5-b5 err-2}" "$rows")
weighted=$(grep -o 'err-[^ ]*' <<< "$rows" || true)
students=${SEQUENCE_STUDENTS:-joint-small}
more_seeds=${SEQUENCE_MORE_SEEDS-2 3}

targets() { # the beams of the stores that the rows read
  local row
  for row in $rows; do
    case ${row#fifth-} in
      k*-b*) echo "1 sequence/30_targets $student ${row##*-b}" ;;
      err-* | posterior) echo "1 sequence/30_targets $student 5" ;;
    esac
  done | sort -u | side_by_side stage
}
train() { # SEEDS ROWS
  local seed row
  for seed in $1; do
    for row in $2; do echo "$seed sequence/40_student $student $row"; done
  done | side_by_side stage
}
scores() { # SEEDS ROWS [SEARCH]: prints the stages
  local seed row
  for seed in $1; do
    for row in $2; do echo "$seed sequence/50_score $student $student/seed-$seed/$row${3:+ $3}"; done
  done
}

prepare_corpus
stage 1 sequence/10_cuts
for student in $students; do
  family=${student%%-*} searches=("" attention)
  if [[ $family == ctc ]]; then searches=(""); fi # it has no decoder
  printf '1 sequence/20_teacher %s\n' "$student" lm | side_by_side stage
  targets
  train 1 "$rows"
  {
    for search in "${searches[@]}" lm; do echo "1 sequence/50_score $student $family/teacher${search:+ $search}"; done
    for search in "${searches[@]}"; do scores 1 "$rows" "$search"; done
    scores 1 "$with_lm" lm
    scores 1 "$weighted" dev
  } | side_by_side stage
  if [[ " ${SEQUENCE_SEEDED-${students%% *}} " == *" $student "* ]]; then
    best=${weighted:+$(best_row "$EXP/sequence/$student/seed-1" score-dev/score.json $weighted)}
    train "$more_seeds" "$deciding $best"
    for search in "${searches[@]}"; do scores "$more_seeds" "$deciding $best" "$search"; done | side_by_side stage
  fi
  stage 1 sequence/60_tables "$student" $rows
  (cd "$EXP/sequence/$student" && tail -n +1 *.txt)
done
