"""From log-posteriors to hypotheses: the searches that ``--search`` can name.

All have one signature, ``search(log_probs, num_frames, options)``, and give
per utterance a list of hypotheses with exact scores, best first. Importing
this package does not import k2.

Letters: N utterances, T frames after padding, V symbols with blank at 0.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from torch import Tensor

from asrkd.decoding import greedy, k2_lattice, prefix_beam
from asrkd.decoding.hypothesis import Hypothesis
from asrkd.decoding.search_options import SearchOptions
from asrkd.errors import AsrkdError

Search = Callable[[Tensor, Tensor, SearchOptions], list[list[Hypothesis]]]

SEARCHES: dict[str, Search] = {
    "greedy": greedy.search,
    "prefix-beam": prefix_beam.search,
    "k2": k2_lattice.search,
}


def find_search(name: str) -> Search:
    """The search called ``name``, known to work here.

    Raises:
        AsrkdError: there is no such search, or it needs a package that is missing.
    """
    if name not in SEARCHES:
        raise AsrkdError(f"--search {name}: expected one of {', '.join(SEARCHES)}")
    if name == "k2":
        k2_lattice.import_k2()
    return SEARCHES[name]


def described(name: str, options: SearchOptions) -> dict[str, Any]:
    """What a contract or a score says of a search: its name and those of its options that it reads."""
    return {"name": name} | {key: value for key, value in asdict(options).items() if key != "decoder"}


__all__ = ["SEARCHES", "Hypothesis", "Search", "SearchOptions", "described", "find_search"]
