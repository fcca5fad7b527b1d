#!/usr/bin/env bash
# Parts of a command as an array job, and after them the job that finishes it.
# Usage:   targets.sh JOBS COMMAND ...       (a command that takes --shard, such as asrkd distill nbest ...)
#
# Reads:   $AFTER: jobs that must succeed first, by number, joined by colons; $SBATCH_*, as sbatch does
# Prints:  the number of the last job, for those that wait for it
set -euo pipefail
if [[ ! -f $(dirname "$0")/submitting.sh ]]; then # sbatch runs a copy of a script, which has no neighbors
  echo "asrkd: stages/slurm/targets.sh submits jobs itself:$(printf ' %q' bash stages/slurm/targets.sh "$@")" >&2
  exit 2
fi
source "$(dirname "$0")/submitting.sh"

jobs=${1:?how many jobs?}
part='exec "$@" --shard "$((SLURM_ARRAY_TASK_ID))/$SLURM_ARRAY_TASK_COUNT"'
submit=(sbatch --parsable --kill-on-invalid-dep=yes)
array=$("${submit[@]}" --array="1-$jobs" ${AFTER:+--dependency="afterok:$AFTER"} \
  stages/slurm/job.sh bash -c "$part" part "${@:2}")
"${submit[@]}" --dependency="afterok:$array" stages/slurm/job.sh "${@:2}"
