"""CTC of all hypotheses of an utterance in one pass over a graph that shares their beginnings."""
