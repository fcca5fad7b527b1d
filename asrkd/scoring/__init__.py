"""Comparing hypotheses with references: counts, rates and the files that the field's tools read.

A reference and a hypothesis are texts; their words are what whitespace
separates once a named normaliser (:mod:`asrkd.scoring.normaliser`) is done
with them, and belong together as a named alignment
(:mod:`asrkd.scoring.word_alignment`) says. Each text is aligned once.
"""
