#!/usr/bin/env bash
# The tables of TutorNet (Yoon 2021): teachers and students of different kinds, its rivals, and mixtures with other methods.
# Usage:   run.sh digits | fsdd     (make tutornet-tables; make tutornet-tables-fsdd CORPUS=folder)
#
# For each student the rows of the convolutional teacher and those of others with seed 1; then the deciding ones with
# $TUTORNET_MORE_SEEDS. A row that has a run record in $RECORDS, of its settings and data, is restored from it; each other is
# recorded when it ends.
#
# Reads:   $CORPUS, the folder of fsdd; $TUTORNET_STUDENTS, $TUTORNET_ROWS, $TUTORNET_DECIDING, $TUTORNET_MORE_SEEDS;
#          $RECORDS, $FRESH, $BUDGET; $SIZE, $DATA, $EXP
# Writes:  $EXP/tutornet: TEACHER/{teacher,hidden,posterior,nbest,codebook}, STUDENT/seed-N/ROW, STUDENT/{compare,seeds}.*;
#          $RECORDS/tutornet/{TEACHER/teacher,STUDENT/seed-N/ROW}.json
# Takes:   on two cores: digits some 80 minutes
# Showed:  docs/results/tutornet.md
set -euo pipefail
corpus=${1:?which corpus? digits or fsdd}
case $corpus in digits | fsdd) ;; *) echo "$corpus: expected digits or fsdd" >&2; exit 2 ;; esac
source "$(dirname "$0")/../corpora/$corpus/settings.sh"
source stages/shared.sh

students=${TUTORNET_STUDENTS:-blstm conv las}
for student in $students; do
  case $student in blstm | conv | las) ;; *) echo "$student: expected students of blstm, conv and las" >&2; exit 2 ;; esac
done
more_seeds=${TUTORNET_MORE_SEEDS-2 3}
# The first two students have all rows of the convolutional teacher; the second one other teachers and mixtures too.
all_rows() {
  local pair="baseline seq-kd guided skd rkd-skd tutornet two-teachers"
  case $student in
    blstm) echo "$pair" ;;
    conv)
      echo "$pair skd@blstm tutornet@blstm skd@transformer tutornet@transformer"
      echo "tutornet+mvq tutornet+err-kd mvq+seq-kd all"
      ;;
    las) echo "baseline skd@transformer tutornet@transformer" ;;
  esac
}
folder() { echo "tutornet/$student/seed-$1/$2"; }
train() { stage "$1" tutornet/30_student "$student" "${@:2}"; }
score() { stage "$1" tutornet/40_score "$student/seed-$1/$2"; }
teacher() { stage 1 tutornet/10_teacher "$teacher" "$@"; }
score_teacher() { stage 1 tutornet/40_score "$teacher/teacher"; }
teacher_of() { # ROW
  if [[ $1 == *@* ]]; then echo "${1#*@}"; else echo conv; fi
}
kinds_of() { # ROW: the targets that it reads, each with its teacher
  local teacher
  teacher=$(teacher_of "$1")
  case ${1%@*} in
    baseline) ;;
    seq-kd) echo "$teacher nbest" ;;
    guided | skd) echo "$teacher posterior" ;;
    rkd-skd | tutornet) printf '%s\n' "$teacher hidden" "$teacher posterior" ;;
    two-teachers) printf '%s\n' "conv hidden" "blstm posterior" ;;
    tutornet+mvq) printf '%s\n' "$teacher hidden" "$teacher posterior" "$teacher codebook" ;;
    tutornet+err-kd) printf '%s\n' "$teacher hidden" "$teacher posterior" "$teacher nbest" ;;
    mvq+seq-kd) printf '%s\n' "$teacher codebook" "$teacher nbest" ;;
    all) printf '%s\n' "$teacher hidden" "$teacher posterior" "$teacher codebook" "$teacher nbest" ;;
  esac
}
targets() { # ROW ...
  local row kinds teacher
  kinds=$(for row in "$@"; do kinds_of "$row"; done | sort -u)
  for teacher in $(cut -d ' ' -f 1 <<< "$kinds" | sort -u); do
    require_weights "tutornet/$teacher/teacher" $(scores)
  done
  sed '/./s/^/1 tutornet\/20_targets /' <<< "$kinds" | side_by_side stage
}
export student SCORED
export -f folder train score scores

# Rows that one student has and another lacks are left out of the latter; those that none has are mistakes.
known=$(for student in blstm conv las; do all_rows; done | xargs)
for row in $(without "${TUTORNET_ROWS-} ${TUTORNET_DECIDING-}" "$known"); do
  echo "TUTORNET_ROWS, TUTORNET_DECIDING: $row: expected some of $(tr ' ' '\n' <<< "$known" | sort -u | xargs)" >&2
  exit 2
done

prepare_corpus
stage 1 sequence/10_cuts
for student in $students; do
  rows=$(within "${TUTORNET_ROWS-$(all_rows | xargs)}" "$(all_rows | xargs)" | xargs)
  deciding=$(within "${TUTORNET_DECIDING-baseline skd tutornet}" "$rows" | xargs) seeded=
  if [[ $deciding != baseline ]]; then seeded=$deciding; fi # more seeds of a baseline alone decide nothing
  for teacher in $(for row in $rows; do kinds_of "$row"; done | cut -d ' ' -f 1 | sort -u); do
    make_teacher "tutornet/$teacher/teacher" $(scores)
  done
  make_rows 1 $deciding
  make_rows 1 $(without "$rows" "$deciding")
  make_rows "$more_seeds" $seeded
  teacher=conv # that of most rows
  if [[ $student == las ]]; then teacher=transformer; fi
  stage 1 student_tables "tutornet/$student" "tutornet/$teacher/teacher" $(finished 1 $rows)
  note_missing "$EXP/tutornet/$student"/*.txt <<< "$(not_run 1 $rows; not_run "$more_seeds" $seeded)"
  mkdir -p "$EXP/tutornet/$student"
  (cd "$EXP/tutornet/$student" && find . -maxdepth 1 -name '*.txt' -printf '%f\n' | sort | xargs -r tail -v -n +1)
done
