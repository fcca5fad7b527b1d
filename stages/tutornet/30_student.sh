#!/usr/bin/env bash
# Stage 30: a row of TutorNet's tables.
# Usage:   30_student.sh CORPUS STUDENT ROW[@TEACHER] [restore]     (student: conv, blstm, las; teacher: conv unless named)
#
#          baseline        the transcripts
#          seq-kd          the teacher's five best hypotheses in place of them (Seq-KD)
#          guided          guided CTC
#          skd             CTC, and the squared distance of posteriors
#          rkd-skd         first the distance of hidden states alone, without frame weights; then as skd
#          tutornet        the same with frame weights
#          two-teachers    the same, hidden states of conv, posteriors of blstm
#          tutornet+mvq tutornet+err-kd mvq+seq-kd all     mixtures
#
# Of the updates of a student a tenth are of hidden states alone, so that all rows have as many.
#
# Reads:   $DATA, $EXP/tutornet/TEACHER/{hidden,posterior,nbest,codebook}; with restore the row's record in $RECORDS
# Writes:  $EXP/tutornet/STUDENT/seed-$SEED/ROW[@TEACHER]
# Takes:   three to six minutes on one core
# Showed:  docs/results/tutornet.md
set -euo pipefail
source "$(dirname "$0")/../corpora/${1:?which corpus?}/settings.sh"

student=${2:?which student? conv, blstm or las} row=${3:?which row?}
method=${row%@*} teacher=conv
if [[ $row == *@* ]]; then teacher=${row#*@}; fi
source stages/tutornet/teachers.sh
case $student in
  conv) config=conv layer="layer: 5" ;;
  blstm) config=blstm layer="layer: 2" ;;
  las) config=las-small layer="layer: 3, tap: before_norm" ;; # its layers have no norm
  *) echo "$student: expected conv, blstm or las" >&2; exit 2 ;;
esac
# TARGETS SETTINGS: the losses of sequences with these settings; half of each where there is a decoder.
sequences() {
  if [[ $student == las ]]; then echo "{attention: {scale: 0.5, $1}}, {ctc: {scale: 0.5, $1}}"; else echo "{ctc: {$1}}"; fi
}
from=$TUTORNET/$teacher
transcripts=$(sequences "targets: transcript") hypotheses="targets: $from/nbest, num_hypotheses: 5"
# Frame weights of a teacher that has learned as little as a tiny one are all alike, which is refused.
weighting= unweighted="frame_weighting: false, "
if [[ $SIZE == tiny ]]; then weighting=$unweighted; fi
rkd="{representation: {targets: $from/hidden, $weighting$layer}}"
skd="{softmax: {targets: $from/posterior, scale: $TUTORNET_SKD_SCALE}}"
mvq="{codebook: {targets: $from/codebook, $layer, scale: $MVQ_SCALE}}"
first= losses=$transcripts
case $method in
  baseline) ;;
  seq-kd) losses=$(sequences "$hypotheses") ;;
  guided) losses+=", {guided_ctc: {targets: $from/posterior}}" ;;
  skd) losses+=", $skd" ;;
  rkd-skd) first=${rkd/$weighting$layer/$unweighted$layer} losses+=", $skd" ;;
  tutornet) first=$rkd losses+=", $skd" ;;
  two-teachers) first=$rkd losses+=", ${skd/$from/$TUTORNET/blstm}" ;;
  tutornet+mvq) first=$rkd losses+=", $skd, $mvq" ;;
  tutornet+err-kd) first=$rkd losses="$(sequences "$hypotheses, weights: {beta: 1}"), $skd" ;;
  mvq+seq-kd) losses="$(sequences "$hypotheses"), $mvq" ;;
  all) first=$rkd losses="$(sequences "$hypotheses, weights: {beta: 1}"), $skd, $mvq" ;;
  *) echo "$row: expected one of the rows in $0" >&2; exit 2 ;;
esac
if [[ $first ]]; then
  warmup=$((TUTORNET_RKD_STEPS / 4))
  phases="[{steps: $TUTORNET_RKD_STEPS, optim: {warmup_steps: $warmup}, objectives: [$first]}, "
  phases+="{steps: $((TUTORNET_STEPS - TUTORNET_RKD_STEPS)), objectives: [$losses]}]"
else
  phases="[{steps: $TUTORNET_STEPS, objectives: [$losses]}]"
fi
train_in "tutornet/$student/seed-$SEED/$row" "${4-}" "$CONF/$config.yaml" "${STUDENT[@]}" --set phases="$phases"
