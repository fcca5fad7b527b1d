# Sourced by the stages of TutorNet's tables, after a corpus's settings, with the name of a teacher in $teacher: the layer
# whose hidden states students are to match: the last one of the encoder, before its norm, after which frame weights are all alike.
#
# conv         of the kind of Jasper DR
# blstm        of the kind of DeepSpeech2
# transformer  with a CTC head and a decoder
TUTORNET=$EXP/tutornet
case $teacher in
  conv) TEACHER_LAYER=5 ;;
  blstm) TEACHER_LAYER=3 ;;
  transformer) TEACHER_LAYER=6 ;;
  *) echo "$teacher: expected conv, blstm or transformer" >&2; exit 2 ;;
esac
