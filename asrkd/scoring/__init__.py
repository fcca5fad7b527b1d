"""Comparing hypotheses with references: counts, rates and the files that the field's tools read.

A reference and a hypothesis are texts; a named normalizer
(:mod:`asrkd.scoring.normalizer`) is done with them first, then they are cut
into named units (:mod:`asrkd.scoring.units`): words, which whitespace
separates, unless characters or a mixture are asked for. Units belong together
as a named alignment (:mod:`asrkd.scoring.word_alignment`) says. Each text is
aligned once. Where modules say word and WER, any unit is meant and its rate.
"""
