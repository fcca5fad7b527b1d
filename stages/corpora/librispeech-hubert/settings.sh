# Sourced by the stages: output folders, and the options that stages share.
#
# DATA, EXP  folders for cuts and features, and for the models
# SEED       of models, targets and training
# JOBS       processes of prepare, distill and score
# DEVICE     of the teacher
# HEAD       of the students: transducer, as in the paper; streaming, a transducer too; or ctc
# SCORED     test, which is test-clean, or test_other
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
CONF=stages/corpora/librispeech-hubert/conf SCORED=${SCORED:-test} DEVICE=${DEVICE:-cuda}
DATA=${DATA:-data/librispeech-960} EXP=${EXP:-exp/librispeech-hubert}
# HuBERT-Large, fine-tuned on the 960 hours; the paper takes its layer 18 of 24. 16 codebooks of a frame at 50 Hz
# are 32 of a student's frame at 25 Hz.
MVQ_TEACHER=torchaudio:HUBERT_ASR_LARGE MVQ_LAYER=18 MVQ_DEVICE=(--device "$DEVICE")
case ${HEAD:=transducer} in
  transducer) SEARCH=(--search transducer-beam --beam 4) ;;
  streaming) SEARCH=(--search transducer-beam --beam 4 --chunk-frames 8 --left-chunks 8) ;;
  ctc) SEARCH=() ;;
  *) echo "HEAD=$HEAD: expected transducer, streaming or ctc" >&2; exit 2 ;;
esac
if [[ $HEAD == ctc ]]; then MVQ_BASELINE=baseline MVQ_STUDENT=mvq-kd; else MVQ_BASELINE=$HEAD MVQ_STUDENT=$HEAD-mvq; fi
MVQ_FOLDER=mvq/$HEAD
QUANTIZER=() TRAIN=(--precision bf16 --workers 4) STUDENT_CUTS=$DATA/cuts_train.jsonl.gz
source stages/corpora/training.sh
