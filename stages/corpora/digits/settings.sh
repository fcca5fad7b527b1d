# Sourced by the stages: output folders, and the options that stages share.
#
# DATA, EXP  folders for the corpus and for the models
# STUDENTS   of the demo, by the names of their configs
# SEED       of models, targets and training; the corpus is the same for all
# JOBS       processes of prepare, distill and score
# TUTORNET_STEPS, TUTORNET_RKD_STEPS, TUTORNET_SKD_SCALE   updates of its students, those of them of hidden states alone, and
#            the scale of its distance of posteriors
# MVQ_SCALE  of codebooks in tables of other methods: that of the demo's MVQ-KD
# TRANSDUCER_WARMUP   updates until the pruned loss has its scale
# SCORED     the sets that systems are scored on
# SIZE       demo (minutes), or tiny (a minute, for tests: its error rates mean nothing)
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
CONF=stages/corpora/digits/conf SCORED=${SCORED:-test} SIZE=${SIZE:-demo}
case $SIZE in
  demo)
    DATA=${DATA:-data/digits} EXP=${EXP:-exp/demo}
    PREPARE=(--minutes 120 --dev-minutes 8 --test-minutes 12 --num-speakers 100 --snr-db 20 40
      --small-speakers 32)
    QUANTIZER=() TRAIN=() TUTORNET_STEPS=4000 TUTORNET_RKD_STEPS=400 TRANSDUCER_WARMUP=400
    ;;
  tiny)
    DATA=${DATA:-data/digits-tiny} EXP=${EXP:-exp/demo-tiny}
    PREPARE=(--minutes 2 --dev-minutes 0.4 --test-minutes 0.4 --num-speakers 5
      --small-speakers 3)
    QUANTIZER=(--utterances 20 --steps 20)
    TRAIN=(--set phases.0.steps=6 --set optim.warmup_steps=2 --set validation.every_steps=3)
    TUTORNET_STEPS=6 TUTORNET_RKD_STEPS=2 TRANSDUCER_WARMUP=2
    ;;
  *) echo "SIZE=$SIZE: expected demo or tiny" >&2; exit 2 ;;
esac
STUDENT_CUTS=$DATA/cuts_train_small.jsonl.gz STUDENTS=${STUDENTS:-seq-kd mvq-kd mvq-kd+seq-kd}
# A teacher decodes its own training cuts without errors: every weight of ERR-KD would be 1, every label its transcript.
SEQUENCE_TEACHER_CUTS=$DATA/cuts_train_others.jsonl.gz TUTORNET_SKD_SCALE=1.0 MVQ_SCALE=0.15
source stages/corpora/training.sh
