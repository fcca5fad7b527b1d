"""Searches for hypotheses, with exact scores, in encoder outputs.

All searches of ``--search`` have one signature, ``search(inputs, options)``.
Importing this package imports neither k2 nor kenlm.
"""

from asrkd.decoding.hypothesis import EncoderOutputs, Hypothesis
from asrkd.decoding.options import SearchOptions
from asrkd.decoding.searches import SEARCHES, Search, find_search

__all__ = ["SEARCHES", "EncoderOutputs", "Hypothesis", "Search", "SearchOptions", "find_search"]
