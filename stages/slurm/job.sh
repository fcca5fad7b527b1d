#!/usr/bin/env bash
# Any command as a batch job: it is told in time to stop, and what was stopped is queued again.
# Usage:   sbatch [OPTION ...] stages/slurm/job.sh COMMAND ...      (from the top folder)
#
# Exits:   as COMMAND does. After 75 (stopped in time) the job is queued again, as often as it takes;
#          after 137 (killed, as for want of memory) twice at most.
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120
set -euo pipefail
if [[ -z ${SLURM_JOB_ID-} ]]; then
  echo "asrkd: $0: is a batch job; submit it:$(printf ' %q' sbatch "$0" "$@")" >&2
  exit 2
fi
set -m # the command gets a process group, so that scripts and what they run are told alike
cancelled= status=0
# Told again until it ends: Python ignores the signal until asrkd listens. The scripts around it ignore it for good.
trap 'while kill -USR1 -- "-$child" 2>/dev/null; do sleep 0.5; done' USR1
trap 'cancelled=yes; kill -TERM -- "-$child" 2>/dev/null || true' TERM
(trap "" USR1 && exec "$@") &
child=$!
wait "$child" || status=$?
while kill -0 -- "-$child" 2>/dev/null; do sleep 0.5; done
if [[ $status -gt 128 ]]; then status=0 && wait "$child" || status=$?; fi # a signal had cut the waiting short
if [[ -z $cancelled ]] && ((status == 75 || (status == 137 && ${SLURM_RESTART_COUNT:-0} < 2))); then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
