# Sourced by the stages: output folders, and the options that stages share.
#
# DATA, EXP  folders for cuts and features, and for the models
# SEED       of models, targets and training
# JOBS       processes of prepare, distill and score
# DEVICE     of the teacher
# SCORED     test, which is test-clean, or test_other
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
CONF=stages/corpora/librispeech-hubert/conf SCORED=${SCORED:-test} DEVICE=${DEVICE:-cuda}
DATA=${DATA:-data/librispeech-960} EXP=${EXP:-exp/librispeech-hubert}
# HuBERT-Large, fine-tuned on the 960 hours; the paper takes its layer 18 of 24. 16 codebooks of a frame at 50 Hz
# are 32 of a student's frame at 25 Hz.
MVQ_TEACHER=torchaudio:HUBERT_ASR_LARGE MVQ_LAYER=18 MVQ_DEVICE=(--device "$DEVICE")
QUANTIZER=() TRAIN=(--precision bf16 --workers 4) STUDENT_CUTS=$DATA/cuts_train.jsonl.gz
source stages/corpora/training.sh
