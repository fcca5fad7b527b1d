# Sourced by the stages: output folders, and the options that stages share.
#
# DATA, EXP  folders for cuts and features, and for the models
# STUDENTS   by the names of their configs
# SEED       of models, targets and training
# JOBS       processes of prepare, distill and score
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
CONF=stages/corpora/librispeech/conf SCORED=dev
DATA=${DATA:-data/librispeech} EXP=${EXP:-exp/librispeech}
QUANTIZER=() TRAIN=() STUDENT_CUTS=$DATA/cuts_train.jsonl.gz STUDENTS=${STUDENTS:-seq-kd mvq-kd}
source stages/corpora/training.sh
