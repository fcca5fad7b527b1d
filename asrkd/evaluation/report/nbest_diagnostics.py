"""Diagnostics of N-best stores: word errors of hypotheses, oracle error rates, and weights in objectives."""

from pathlib import Path

from markupsafe import Markup

from asrkd.evaluation.report.figures.bars import Bar, BarAxes, bar_figure
from asrkd.targets.nbest import Nbest
from asrkd.targets.sources.nbest_weights import BINS, WeightHistogram, list_weights
from asrkd.targets.sources.settings import WeightSettings
from asrkd.targets.store.nbest import NbestStore
from asrkd.targets.store.nbest_statistics import NbestFigures

MOST_ERRORS = 8  # larger numbers share the last bar


def histogram(statistics: NbestFigures) -> Markup:
    """Draw the shares of hypotheses by number of errors; marks across bars are for the best hypotheses."""

    def share(counts: dict[int, int], number: int) -> float:
        in_bar = sum(n for e, n in counts.items() if e == number or e > number >= MOST_ERRORS)
        return in_bar / sum(counts.values())

    bars, noun = [], statistics.unit.noun
    for number in range(min(max(statistics.errors), MOST_ERRORS) + 1):
        label = f"{number}+" if number == MOST_ERRORS else str(number)
        every, best = share(statistics.errors, number), share(statistics.errors_of_best, number)
        title = f"{label} errors: {every:.1%} of all hypotheses, {best:.1%} of the best ones"
        bars.append(Bar(label, every, title, marks=((best, "tick-best"),)))
    return bar_figure(
        bars,
        BarAxes(
            f"{noun.capitalize()} errors of stored hypotheses",
            f"{noun} errors of a hypothesis",
            is_percent=True,
        ),
    )


def oracle(statistics: NbestFigures) -> Markup:
    """Draw the oracle error rate by N."""
    bars = [
        Bar(str(rank + 1), wer, f"oracle of {rank + 1}: {wer:.2%}")
        for rank, wer in enumerate(statistics.oracle_wer)
    ]
    label = f"Oracle {statistics.unit.rate_name.lower()} by the number of hypotheses: " + ", ".join(
        f"{wer:.2%}" for wer in statistics.oracle_wer
    )
    return bar_figure(bars, BarAxes(label, "hypotheses a cut, N", is_percent=True))


def measure_weights(path: Path, num_hypotheses: int, settings: WeightSettings) -> WeightHistogram:
    """Compute the histogram of the weights of a store's best hypotheses, before filters.

    Lists without word errors are left out if the weights depend on errors.
    """
    store, histogram = NbestStore(path), WeightHistogram()
    for cut_id in store.index.ids():
        nbest = store.read(cut_id)
        best = Nbest(nbest.hypotheses[:num_hypotheses], nbest.num_words)
        if best.hypotheses and (best.wers is not None or settings.beta == 0):
            histogram.add(list_weights(best.log_probs, best.wers, settings))
    return histogram


def weights(histogram: WeightHistogram, label: str) -> Markup:
    """Draw the shares of hypotheses by weight, as a multiple of the weight in Seq-KD."""
    names = [f"{bin_ / BINS:g}" for bin_ in range(1, BINS)] + ["<1", "≥1"]
    bars = [
        Bar(name, share, f"weight up to {name}: {share:.1%}")
        for name, share in zip(names, histogram.shares(), strict=True)
    ]
    axes = BarAxes(f"Weights of {label}", "weight of a hypothesis; in Seq-KD 1", is_percent=True)
    return bar_figure(bars, axes)
