"""Is a difference between error rates more than chance? Numbers in, numbers out: no files, no models.

Letters: U utterances, B blocks (speakers, say), R replicates of a bootstrap, S seeds.
An error rate is a sum of errors over a sum of words: a fraction, not a percentage.
"""
