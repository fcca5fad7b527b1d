# Sourced by the stages: where things go, and what they share.
#
# DATA, EXP  folders for cuts and features, and for the models
# SEED       of models, targets and training
# JOBS       processes of prepare, distill and score
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
CONF=stages/fsdd/conf SCORED=dev
DATA=${DATA:-data/fsdd} EXP=${EXP:-exp/fsdd}
QUANTIZER=() TRAIN=() STUDENT_CUTS=$DATA/cuts_train.jsonl.gz
source stages/training.sh
