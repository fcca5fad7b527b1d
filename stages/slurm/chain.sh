#!/usr/bin/env bash
# A corpus's recipe as jobs that wait for each other: prepare, teacher, quantizer, targets, students.
# Usage:   chain.sh digits | fsdd FOLDER | librispeech FOLDER
#
# Reads:   $STUDENTS, $TARGET_JOBS (jobs of each store); $SBATCH_*, as sbatch does; the variables of the stages
# Prints:  the number of each job and its stage; squeue shows them
set -euo pipefail
if [[ ! -f $(dirname "$0")/submitting.sh ]]; then # sbatch runs a copy of a script, which has no neighbors
  echo "asrkd: stages/slurm/chain.sh submits jobs itself:$(printf ' %q' bash stages/slurm/chain.sh "$@")" >&2
  exit 2
fi
source "$(dirname "$0")/submitting.sh"
corpus=${1:?which corpus? a folder of stages/corpora} STUDENTS=${STUDENTS:-seq-kd mvq-kd}
export JOBS=${JOBS:-1} # processes in a job

stage() { # AFTER SCRIPT ARGUMENT ...
  sbatch --parsable --kill-on-invalid-dep=yes --job-name="$(basename "$2" .sh)" \
    ${1:+--dependency="afterok:$1"} stages/slurm/job.sh bash "stages/$2" "${@:3}"
}
store() { AFTER=$1 bash stages/slurm/targets.sh "${TARGET_JOBS:-4}" bash stages/demo/30_distill.sh "$corpus" "$2"; }

prepare=$(stage "" "corpora/$corpus/prepare.sh" "${@:2}") && echo "$prepare prepare"
teacher=$(stage "$prepare" demo/10_teacher.sh "$corpus") && echo "$teacher teacher"
quantizer=$(stage "$teacher" demo/30_distill.sh "$corpus" quantizer) && echo "$quantizer quantizer"
nbest=$(store "$teacher" nbest) && echo "$nbest nbest"
codebook=$(store "$quantizer" codebook) && echo "$codebook codebook"
for student in $STUDENTS; do
  echo "$(stage "$nbest:$codebook" demo/40_student.sh "$corpus" "$student") $student"
done
