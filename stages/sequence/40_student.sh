#!/usr/bin/env bash
# Stage 40: a row of the Seq-KD and ERR-KD tables.
# Usage:   40_student.sh CORPUS STUDENT ROW [restore]     (a folder of stages/corpora; a name in its conf)
#
#          baseline      the transcripts
#          kN-bM         Seq-KD: the N best hypotheses of a beam of M in place of them
#          err-B         ERR-KD: the five best of a beam of 5, each weighted by exp(-B WER)
#          posterior     the same five, weighted by the teacher's posterior over them
#          fifth         the transcripts of a fifth of the cuts; the others are left out
#          fifth-kN-bM   these, and hypotheses for the others
#
# Reads:   $DATA, $EXP/sequence/FAMILY/nbest-*; with restore the row's record in $RECORDS, and nothing is trained
# Writes:  $EXP/sequence/STUDENT/seed-$SEED/ROW; the baseline of ctc-tiny is that of the MVQ-KD tables
# Takes:   three to six minutes on one core
# Showed:  docs/results/seq-kd.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

student=${2:?which student? one of the names in $CONF} row=${3:?which row?}
source stages/sequence/families.sh

if [[ $student/$row == ctc-tiny/baseline ]]; then
  mkdir -p "$SEQUENCE/$student/seed-$SEED"
  ln -sfnT "../../../mvq/seed-$SEED/baseline" "$SEQUENCE/$student/seed-$SEED/baseline"
  exec bash stages/mvq/20_student.sh "$1" baseline "${4-}"
fi

# ALONE SHARED SETTINGS: the student's losses with these settings; of scale ALONE, or SHARED where there are two losses.
losses() {
  if [[ $FAMILY == ctc ]]; then echo "{ctc: {scale: $1, $3}}"; else
    echo "{attention: {scale: $2, $3}}, {ctc: {scale: $2, $3}}"
  fi
}
hypotheses() { # kN-bM
  [[ $1 =~ ^k([0-9]+)-b([0-9]+)$ ]] || { echo "$row: expected baseline, kN-bM, err-B, posterior, fifth or fifth-kN-bM" >&2; exit 2; }
  echo "targets: $SEQUENCE/$FAMILY/nbest-${BASH_REMATCH[2]}, num_hypotheses: ${BASH_REMATCH[1]}"
}
transcripts="cuts: transcribed" cuts=$STUDENT_CUTS
case $row in
  baseline) objectives=$(losses 1.0 0.5 "$transcripts") ;;
  err-*)
    lists=$(hypotheses k5-b5)
    objectives=$(losses 1.0 0.5 "$lists, weights: {beta: ${row#err-}}")
    ;;
  posterior)
    lists=$(hypotheses k5-b5)
    objectives=$(losses 1.0 0.5 "$lists, weights: {posterior: true}")
    ;;
  fifth) objectives=$(losses 1.0 0.5 "$transcripts") cuts=$DATA/cuts_train_fifth.jsonl.gz ;;
  fifth-*)
    # A loss is a mean over the tokens of its cuts: a fifth and four fifths of the scale give all tokens the same weight.
    lists=$(hypotheses "${row#fifth-}")
    objectives="$(losses 0.2 0.1 "$transcripts"), $(losses 0.8 0.4 "$lists, cuts: untranscribed")"
    cuts=$DATA/cuts_train_fifth.jsonl.gz
    ;;
  *)
    lists=$(hypotheses "$row") # in a command of its own, so that its exit status counts
    objectives=$(losses 1.0 0.5 "$lists")
    ;;
esac
train_in "sequence/$student/seed-$SEED/$row" "${4-}" "$CONF/$student.yaml" "${STUDENT[@]}" \
  --set data.train="$cuts" --set phases.0.objectives="[$objectives]"
