"""Statistics of an N-best store: errors of its hypotheses, and the oracle error rate by list length."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from asrkd.scoring.units import WORD, Unit
from asrkd.targets.store.nbest import NbestStore


@dataclass(frozen=True)
class NbestFigures:
    """Error counts of a store's hypotheses, and the oracle error rate.

    Attributes:
        num_cuts: number of cuts with a reference.
        num_hypotheses: number of hypotheses of these cuts.
        errors: number of hypotheses by their errors, in the store's unit.
        errors_of_best: number of best hypotheses by their errors.
        oracle_wer: oracle error rate by list length: at N - 1 that of the hypotheses with
            the fewest errors among the first N; a shorter list counts as a whole.
        unit: unit of the errors.
    """

    num_cuts: int
    num_hypotheses: int
    errors: dict[int, int]
    errors_of_best: dict[int, int]
    oracle_wer: list[float]
    unit: Unit = WORD


def measure_nbest(path: Path) -> NbestFigures | None:
    """Count the errors of the store at ``path``; None if its cuts have no transcripts.

    Raises:
        AsrkdError: the store is unfinished or damaged.
    """
    store = NbestStore(path)
    errors: Counter[int] = Counter()
    best: Counter[int] = Counter()
    fewest: list[int] = []  # at N - 1 the fewest errors among the first N, summed over cuts
    num_words = num_cuts = 0
    for cut_id in store.index.ids():
        nbest = store.read(cut_id)
        if nbest.errors is None or not nbest.errors:
            continue
        num_cuts, num_words = num_cuts + 1, num_words + (nbest.num_words or 0)
        errors.update(nbest.errors)
        best[nbest.errors[0]] += 1
        _add_fewest(fewest, nbest.errors, num_cuts)
    if not num_words:
        return None
    total = sum(errors.values())
    oracle_wer = [count / num_words for count in fewest]
    return NbestFigures(num_cuts, total, dict(errors), dict(best), oracle_wer, store.unit)


def _add_fewest(fewest: list[int], errors: list[int], num_cuts: int) -> None:
    """Add a cut; earlier cuts have at most len(fewest) hypotheses, so their oracle stays the same beyond."""
    if num_cuts == 1:
        fewest.append(0)
    while len(fewest) < len(errors):
        fewest.append(fewest[-1])
    running = errors[0]
    for rank in range(len(fewest)):
        running = min(running, errors[rank]) if rank < len(errors) else running
        fewest[rank] += running
