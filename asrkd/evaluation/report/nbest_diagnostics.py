"""What an N-best store holds: errors of its hypotheses, and what the best of N would score."""

from pathlib import Path

from markupsafe import Markup

from asrkd.evaluation.report.figures.bars import Bar, Upright, bar_figure
from asrkd.targets.nbest import Nbest
from asrkd.targets.sources.nbest_weights import BINS, WeightHistogram, list_weights
from asrkd.targets.sources.settings import WeightSettings
from asrkd.targets.store.nbest import NbestStore
from asrkd.targets.store.nbest_statistics import NbestFigures

MOST_ERRORS = 8  # a bar of its own up to here


def histogram(figures: NbestFigures) -> Markup:
    """Shares of hypotheses by their errors; a mark across each bar for the best hypotheses alone."""

    def share(counts: dict[int, int], number: int) -> float:
        held = sum(n for e, n in counts.items() if e == number or e > number >= MOST_ERRORS)
        return held / sum(counts.values())

    bars, noun = [], figures.unit.noun
    for number in range(min(max(figures.errors), MOST_ERRORS) + 1):
        label = f"{number}+" if number == MOST_ERRORS else str(number)
        every, best = share(figures.errors, number), share(figures.errors_of_best, number)
        title = f"{label} errors: {every:.1%} of all hypotheses, {best:.1%} of the best ones"
        bars.append(Bar(label, every, title, marks=((best, "tick-best"),)))
    return bar_figure(
        bars,
        Upright(
            f"{noun.capitalize()} errors of stored hypotheses",
            f"{noun} errors of a hypothesis",
            is_percent=True,
        ),
    )


def oracle(figures: NbestFigures) -> Markup:
    """The oracle error rate by N."""
    bars = [
        Bar(str(rank + 1), wer, f"least wrong of {rank + 1}: {wer:.2%}")
        for rank, wer in enumerate(figures.oracle_wer)
    ]
    label = f"Oracle {figures.unit.rate_name.lower()} by the number of hypotheses: " + ", ".join(
        f"{wer:.2%}" for wer in figures.oracle_wer
    )
    return bar_figure(bars, Upright(label, "hypotheses a cut, N", is_percent=True))


def measure_weights(path: Path, num_hypotheses: int, settings: WeightSettings) -> WeightHistogram:
    """How the weights of a store's best hypotheses are spread, before any filter.

    Lists without word errors are left out where errors count.
    """
    store, histogram = NbestStore(path), WeightHistogram()
    for cut_id in store.index.ids():
        nbest = store.read(cut_id)
        best = Nbest(nbest.hypotheses[:num_hypotheses], nbest.num_words)
        if best.hypotheses and (best.wers is not None or settings.beta == 0):
            histogram.add(list_weights(best.log_probs, best.wers, settings))
    return histogram


def weights(spread: WeightHistogram, label: str) -> Markup:
    """Shares of hypotheses by their weight, as a multiple of Seq-KD's."""
    names = [f"{bin_ / BINS:g}" for bin_ in range(1, BINS)] + ["<1", "≥1"]
    bars = [
        Bar(name, share, f"weight up to {name}: {share:.1%}")
        for name, share in zip(names, spread.shares(), strict=True)
    ]
    axes = Upright(f"Weights of {label}", "weight of a hypothesis, Seq-KD's being 1", is_percent=True)
    return bar_figure(bars, axes)
