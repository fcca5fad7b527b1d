"""Scoring of hypotheses against references: counts, error rates, and files for the field's tools.

A reference and a hypothesis are texts. A named normalizer (:mod:`asrkd.scoring.normalizer`) is applied to
both; they are cut into named units (:mod:`asrkd.scoring.units`), which are words unless characters or a
mixture are chosen; and a named alignment (:mod:`asrkd.scoring.word_alignment`) pairs the units. Each text is
aligned once. "Word" and "WER" in these modules stand for any unit and its error rate.
"""
