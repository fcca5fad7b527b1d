#!/usr/bin/env bash
# A training as a job that goes on until it is done, however often it is stopped.
# Usage:   train.sh CONFIG OUT [OPTION ...]      (options of asrkd train)
#
# Reads:   $AFTER: jobs that must succeed first, by number, joined by colons
#          $SBATCH_GPUS, $SBATCH_TIMELIMIT and the like, as sbatch does
# Prints:  the number of the job
set -euo pipefail
cd "$(dirname "$0")/../.."

config=${1:?which config?} out=${2:?which folder?}
sbatch --parsable --kill-on-invalid-dep=yes --job-name="train-$(basename "$out")" \
  ${AFTER:+--dependency="afterok:$AFTER"} stages/slurm/job.sh \
  asrkd train "$config" --out "$out" --resume "${@:3}"
