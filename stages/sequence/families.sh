# Sourced by the stages of the Seq-KD and ERR-KD tables, after a corpus's settings and with the name of a student in
# $student: the family of its architecture, the searches of that family, and the folder of its teacher in $EXP.
#
# ctc-tiny ctc-small ctc-mid   a Conformer with a CTC head; ctc-tiny is the student of the demo and of the MVQ-KD tables
# joint-small joint-mid        with a CTC head and an attention decoder
# las-small las-mid            the models of Mun'im et al. in small
# transformer-a transformer-b  those of Kim et al. in small
FAMILY=${student%%-*} SEQUENCE=$EXP/sequence TEACHER_FOLDER=sequence/${student%%-*}/teacher
# That of ctc students is the one of the MVQ-KD tables where it has the same cuts.
if [[ $FAMILY == ctc && ${SEQUENCE_TEACHER_CUTS-} == "$TEACHER_CUTS" ]]; then TEACHER_FOLDER=teacher; fi
case $FAMILY in
  ctc)
    DISTILL_SEARCH=(--search prefix-beam) SEARCH=(--search greedy) SEARCH_LM=(--search prefix-beam --beam 8)
    ;;
  joint | las | transformer)
    DISTILL_SEARCH=(--search joint --ctc-weight 0.5) SEARCH=("${DISTILL_SEARCH[@]}" --beam 5) SEARCH_LM=("${SEARCH[@]}")
    ;;
  *) echo "$student: expected ctc-, joint- or las-, small or mid; ctc-tiny; transformer-a or -b" >&2; exit 2 ;;
esac
SEARCH_LM+=(--lm "$SEQUENCE/lm" --lm-weight 0.3)
SEARCH_ATTENTION=(--search attention --beam 5) # the decoder alone, as the papers' models have no CTC head
