"""Comparing hypotheses with references: counts, rates and the files that the field's tools read.

A reference and a hypothesis are texts; their words are what whitespace
separates. Nothing is normalised: case and punctuation count.
"""
