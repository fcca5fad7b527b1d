#!/usr/bin/env bash
# A training as a job that goes on until it is done, however often it is stopped.
# Usage:   train.sh CONFIG OUT [OPTION ...]      (options of asrkd train)
#          TASKS=4 train.sh ...                  (of so many processes, with a GPU each if --gpus-per-task says so)
#
# Reads:   $AFTER: jobs that must succeed first, by number, joined by colons
#          $SBATCH_GPUS, $SBATCH_TIMELIMIT and the like, as sbatch does
# Prints:  the number of the job
set -euo pipefail
if [[ ! -f $(dirname "$0")/submitting.sh ]]; then # sbatch runs a copy of a script, which has no neighbors
  echo "asrkd: stages/slurm/train.sh submits jobs itself:$(printf ' %q' bash stages/slurm/train.sh "$@")" >&2
  exit 2
fi
source "$(dirname "$0")/submitting.sh"

config=${1:?which config?} out=${2:?which folder?}
# srun passes the signal on to tasks that do not ignore it yet, which would die of it while Python starts or ends.
task='trap "" USR1 && exec "$@"'
sbatch --parsable --kill-on-invalid-dep=yes --job-name="train-$(basename "$out")" \
  ${AFTER:+--dependency="afterok:$AFTER"} --ntasks="${TASKS:-1}" stages/slurm/job.sh \
  ${TASKS:+srun --kill-on-bad-exit=0 bash -c "$task" task} asrkd train "$config" --out "$out" --resume "${@:3}"
