#!/usr/bin/env bash
# MVQ-KD from HuBERT on all of LibriSpeech, as its paper has it: targets, then of each kind of student baseline, MVQ-KD, scores and
# a table; what is done is skipped.
# Usage:   librispeech-hubert.sh CORPUS  (a GPU; on a cluster: sbatch stages/slurm/job.sh bash this CORPUS)
#
# Reads:   the corpus's folder, with train-clean-100 ... test-other; $DATA, $EXP, $DEVICE; $HEADS, kinds of students:
#          transducer and streaming by default, and ctc
# Writes:  $DATA, $EXP/mvq
# Takes:   days, and 110 GB of disk beside the corpus
# Showed:  docs/results/librispeech-hubert.md: no results yet; disk and time, estimated
set -euo pipefail
corpus=$(realpath -e "${1:?which corpus? give its folder}")
cd "$(dirname "$0")/../.."

bash stages/corpora/librispeech-hubert/prepare.sh "$corpus"
bash stages/mvq/10_targets.sh librispeech-hubert 16
for head in ${HEADS:-transducer streaming}; do
  export HEAD=$head
  for row in baseline mvq-16; do
    bash stages/mvq/20_student.sh librispeech-hubert "$row"
    SCORED="test test_other" bash stages/demo/50_score.sh librispeech-hubert "mvq/$head/seed-1/$row"
  done
  for set in test test_other; do
    asrkd compare "${EXP:-exp/librispeech-hubert}/mvq/$head/seed-1"/{baseline,mvq-16} --score "score-$set"
  done
done
