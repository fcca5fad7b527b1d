"""CTC of all hypotheses of an utterance in one pass over their prefix tree."""
