#!/usr/bin/env bash
# A corpus's recipe as jobs that wait for each other: prepare, teacher, quantizer, targets, students.
# Usage:   chain.sh digits | fsdd FOLDER | librispeech FOLDER
#
# Reads:   $STUDENTS, $TARGET_JOBS (jobs of each store); $SBATCH_*, as sbatch does; what the recipe's stages read
# Prints:  the number of each job and its stage; squeue shows them
set -euo pipefail
cd "$(dirname "$0")/../.."
recipe=stages/${1:?which recipe? a folder of stages} STUDENTS=${STUDENTS:-seq-kd mvq-kd}
export JOBS=${JOBS:-1} # processes in a job

stage() { # AFTER SCRIPT ARGUMENT ...
  sbatch --parsable --kill-on-invalid-dep=yes --job-name="${2%.sh}" ${1:+--dependency="afterok:$1"} \
    stages/slurm/job.sh bash "$recipe/$2" "${@:3}"
}
store() { AFTER=$1 bash stages/slurm/targets.sh "${TARGET_JOBS:-4}" bash "$recipe/30_distill.sh" "$2"; }

prepare=$(stage "" 00_prepare.sh "${@:2}") && echo "$prepare prepare"
teacher=$(stage "$prepare" 10_teacher.sh) && echo "$teacher teacher"
quantizer=$(stage "$teacher" 30_distill.sh quantizer) && echo "$quantizer quantizer"
nbest=$(store "$teacher" nbest) && echo "$nbest nbest"
codebook=$(store "$quantizer" codebook) && echo "$codebook codebook"
for student in $STUDENTS; do
  echo "$(stage "$nbest:$codebook" 40_student.sh "$student") $student"
done
