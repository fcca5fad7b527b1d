"""Confidence intervals and significance tests for error rates and their differences; arrays only, no files.

An error rate is a sum of errors divided by a sum of words: a fraction, not a percentage.

Notation: U utterances, B blocks (speakers, for example), R replicates of a bootstrap, S seeds.
"""
