# Sourced by the stages: where things go, and what they share.
#
# DATA, EXP  folders for cuts and features, and for the models
# SEED       of models, targets and training
# JOBS       processes of prepare, distill and score
# SIZE       demo (minutes), or tiny (seconds a system, for tests: its error rates mean nothing)
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
CONF=stages/fsdd/conf SCORED=dev SIZE=${SIZE:-demo}
DATA=${DATA:-data/fsdd} EXP=${EXP:-exp/fsdd}
QUANTIZER=() TRAIN=() STUDENT_CUTS=$DATA/cuts_train.jsonl.gz
SEQUENCE_HEARD=$STUDENT_CUTS # as the papers have it: there is little speech, and a teacher labels what it learnt from
if [[ $SIZE == tiny ]]; then
  QUANTIZER=(--utterances 20 --steps 20)
  TRAIN=(--set phases.0.steps=6 --set optim.warmup_steps=2 --set validation.every_steps=3)
fi
source stages/training.sh
