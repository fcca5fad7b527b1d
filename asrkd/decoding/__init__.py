"""From what a recognizer has heard to hypotheses: the searches that ``--search`` can name.

All have one signature, ``search.run(heard, options)``, and give per utterance
a list of hypotheses with exact scores, best first. Importing this package
imports neither k2 nor kenlm.
"""

from asrkd.decoding.hypothesis import Hypothesis
from asrkd.decoding.options import SearchOptions
from asrkd.decoding.search_input import EncoderOutputs
from asrkd.decoding.searches import SEARCHES, Search, find_search

__all__ = ["SEARCHES", "EncoderOutputs", "Hypothesis", "Search", "SearchOptions", "find_search"]
