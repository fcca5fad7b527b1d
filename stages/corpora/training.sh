# Sourced by a corpus's settings, after DATA and EXP: the options of its trainings.
#
# TRAIN         of all; settings may have begun it
# TEACHER       on all cuts of train
# STUDENT       on STUDENT_CUTS, which the teacher computes targets of
# TEXT          of a language model
SEED=${SEED:-1} JOBS=${JOBS:-2}
# One thread each: two runs side by side use two cores better than one run's two threads.
TRAIN+=(--seed "$SEED" --threads 1 --resume --set data.tokens="$DATA")
TEXT=("${TRAIN[@]}" --set data.train_text="$DATA/cuts_train.jsonl.gz" --set data.dev_text="$DATA/cuts_dev.jsonl.gz")
TRAIN+=(--set data.dev="$DATA/cuts_dev.jsonl.gz")
TEACHER=("${TRAIN[@]}" --set data.train="$DATA/cuts_train.jsonl.gz")
STUDENT=("${TRAIN[@]}" --set data.train="$STUDENT_CUTS")
