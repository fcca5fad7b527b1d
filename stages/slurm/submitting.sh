# Sourced by the scripts that submit jobs, with their arguments: goes to the top folder. They run once, on a machine
# that submits; several tasks of srun would submit the same jobs several times.
if ((${SLURM_STEP_NUM_TASKS:-1} > 1)); then
  again=$(printf ' %q' bash "$0" "$@")
  echo "asrkd: $0: submits jobs itself, and srun runs it $SLURM_STEP_NUM_TASKS times; run it without srun:$again" >&2
  exit 2
fi
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
