"""Statistics of an N-best store: errors of its hypotheses, and the oracle error rate by list length."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from asrkd.scoring.units import WORD, Unit
from asrkd.targets.store.nbest import NbestStore


@dataclass(frozen=True)
class NbestFigures:
    """Error counts of a store's hypotheses and their oracle.

    Attributes:
        num_cuts: with a reference.
        num_hypotheses: of those cuts.
        errors: how many hypotheses have so many errors, in the store's unit.
        errors_of_best: how many of the best ones have.
        oracle_wer: at N - 1 the error rate of the least wrong of the first N; a
            list that is shorter than N counts as it is.
        unit: of the store.
    """

    num_cuts: int
    num_hypotheses: int
    errors: dict[int, int]
    errors_of_best: dict[int, int]
    oracle_wer: list[float]
    unit: Unit = WORD


def measure_nbest(path: Path) -> NbestFigures | None:
    """Read the store at ``path``; None if its cuts had no transcripts.

    Raises:
        AsrkdError: the store is unfinished or damaged.
    """
    store = NbestStore(path)
    errors: Counter[int] = Counter()
    best: Counter[int] = Counter()
    least: list[int] = []  # errors of the least wrong of the first N, over cuts
    num_words = num_cuts = 0
    for cut_id in store.index.ids():
        nbest = store.read(cut_id)
        if nbest.errors is None or not nbest.errors:
            continue
        num_cuts, num_words = num_cuts + 1, num_words + (nbest.num_words or 0)
        errors.update(nbest.errors)
        best[nbest.errors[0]] += 1
        _add_least(least, nbest.errors, num_cuts)
    if not num_words:
        return None
    total = sum(errors.values())
    oracle_wer = [count / num_words for count in least]
    return NbestFigures(num_cuts, total, dict(errors), dict(best), oracle_wer, store.unit)


def _add_least(least: list[int], errors: list[int], num_cuts: int) -> None:
    """Add a cut; cuts before it had at most len(least) hypotheses, so their oracle stays what it was."""
    if num_cuts == 1:
        least.append(0)
    while len(least) < len(errors):
        least.append(least[-1])
    running = errors[0]
    for rank in range(len(least)):
        running = min(running, errors[rank]) if rank < len(errors) else running
        least[rank] += running
