#!/usr/bin/env bash
# MVQ-KD from HuBERT on all of LibriSpeech: prepare, targets, baseline, student, scores, table; what is done is skipped.
# Usage:   run.sh CORPUS                 (a GPU; on a cluster: sbatch stages/slurm/job.sh bash this CORPUS)
#
# Takes:   days, and 110 GB of disk beside the corpus; RESULTS.md has the account
set -euo pipefail
corpus=$(realpath -e "${1:?which corpus? give its folder}")
cd "$(dirname "$0")/.."

bash librispeech-hubert/00_prepare.sh "$corpus"
bash 35_mvq_targets.sh librispeech-hubert 16
for row in baseline mvq-16; do
  bash 45_mvq_student.sh librispeech-hubert "$row"
  for set in test test_other; do
    SCORED=$set bash 50_score.sh librispeech-hubert "mvq/seed-1/$row"
  done
done
cd ..
for set in test test_other; do
  asrkd compare exp/librispeech-hubert/mvq/seed-1/{baseline,mvq-16} --score "score-$set"
done
