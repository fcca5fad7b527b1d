# Sourced by the scripts beside it: where things go, and the options that they share.
#
# DATA, EXP  folders for cuts and features, and for the models
# SEED       of models, targets and training
# JOBS       processes of prepare, distill and score
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
SEED=${SEED:-1} JOBS=${JOBS:-2}
DATA=${DATA:-data/librispeech} EXP=${EXP:-exp/librispeech}
QUANTIZER=()
# One thread each: two runs side by side use two cores better than one run's two threads.
TRAIN=(--seed "$SEED" --threads 1 --resume --set data.tokens="$DATA")
TRAIN+=(--set data.train="$DATA/cuts_train.jsonl.gz" --set data.dev="$DATA/cuts_dev.jsonl.gz")
TEACHER=("${TRAIN[@]}") STUDENT=("${TRAIN[@]}")
