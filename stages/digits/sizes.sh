# Sourced by the scripts beside it: where things go, and how large the run is.
#
# DATA, EXP   folders for the corpus and for the models
# SEED        of models, targets and training; the corpus is the same for all
# SIZE        demo (minutes) or tiny (seconds: for tests, its WERs mean nothing)
SIZE=${SIZE:-demo}
SEED=${SEED:-1}
JOBS=${JOBS:-2}
if [ "$SIZE" = tiny ]; then
  DATA=${DATA:-data/digits-tiny} EXP=${EXP:-exp/demo-tiny}
  CORPUS=(--minutes 2 --dev-minutes 0.3 --test-minutes 0.3 --num-speakers 5)
  TRAIN=(--set phases.0.steps=6 --set optim.warmup_steps=2 --set validation.every_steps=3)
  QUANTIZER=(--utterances 20 --steps 20)
else
  DATA=${DATA:-data/digits} EXP=${EXP:-exp/demo}
  CORPUS=(--minutes 60)
  TRAIN=()
  QUANTIZER=()
fi
