# Sourced by the scripts beside it: where things go, and the options that they share.
#
# DATA, EXP  folders for cuts and features, and for the models
# SEED       of models, targets and training
# JOBS       processes of prepare, distill and score
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
SEED=${SEED:-1} JOBS=${JOBS:-2}
DATA=${DATA:-data/fsdd} EXP=${EXP:-exp/fsdd}
QUANTIZER=()
TEACHER=(--seed "$SEED" --resume --threads 1)
STUDENT=(--seed "$SEED" --resume --threads 1)
