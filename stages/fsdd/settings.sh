# Sourced by the stages: where things go, and what they share.
#
# DATA, EXP  folders for cuts and features, and for the models
# SEED       of models, targets and training
# JOBS       processes of prepare, distill and score
# SCORED     the set that systems are scored on
# SIZE       demo (minutes), or tiny (seconds a system, for tests: its error rates mean nothing)
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
CONF=stages/fsdd/conf SCORED=${SCORED:-dev} SIZE=${SIZE:-demo}
DATA=${DATA:-data/fsdd} EXP=${EXP:-exp/fsdd}
QUANTIZER=() TRAIN=() STUDENT_CUTS=$DATA/cuts_train.jsonl.gz
# As the papers have it, for there is little speech: a teacher labels what it learned from. So there is no row of a fifth of
# the transcripts, as the teacher has read the others.
SEQUENCE_HEARD=$STUDENT_CUTS
if [[ $SIZE == tiny ]]; then
  QUANTIZER=(--utterances 20 --steps 20)
  TRAIN=(--set phases.0.steps=6 --set optim.warmup_steps=2 --set validation.every_steps=3)
fi
source stages/training.sh
