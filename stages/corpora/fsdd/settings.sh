# Sourced by the stages: output folders, and the options that stages share.
#
# DATA, EXP  folders for cuts and features, and for the models
# STUDENTS   by the names of their configs
# SEED       of models, targets and training
# JOBS       processes of prepare, distill and score
# SCORED     the sets that systems are scored on: dev, of an unseen speaker, and recordings of the training speakers
# SIZE       demo (minutes), or tiny (seconds a system, for tests: its error rates mean nothing)
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
CONF=stages/corpora/fsdd/conf SCORED=${SCORED:-dev heldout} SIZE=${SIZE:-demo}
DATA=${DATA:-data/fsdd} EXP=${EXP:-exp/fsdd}
QUANTIZER=() TRAIN=() STUDENT_CUTS=$DATA/cuts_train_rest.jsonl.gz STUDENTS=${STUDENTS:-seq-kd mvq-kd}
TEACHER_CUTS=$STUDENT_CUTS DEV_CUTS=("$DATA"/cuts_{dev,heldout}.jsonl.gz)
# dev has one speaker: intervals are about these speakers, not about others.
COMPARE=(--blocks utterance)
# As in the papers, for there is little speech: the teacher labels the cuts that it was trained on. So there is no row of a
# fifth of the transcripts, as the teacher has read the others.
SEQUENCE_TEACHER_CUTS=$STUDENT_CUTS TUTORNET_STEPS=3000 TUTORNET_RKD_STEPS=300 TUTORNET_SKD_SCALE=1.0 MVQ_SCALE=0.25
TRANSDUCER_WARMUP=400
if [[ $SIZE == tiny ]]; then
  QUANTIZER=(--utterances 20 --steps 20)
  TRAIN=(--set phases.0.steps=6 --set optim.warmup_steps=2 --set validation.every_steps=3)
  TUTORNET_STEPS=6 TUTORNET_RKD_STEPS=2 TRANSDUCER_WARMUP=2
fi
source stages/corpora/training.sh
