"""Diagnostics of codebook stores: entropy, perplexity and use of the entries of each codebook."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from markupsafe import Markup

from asrkd.core.randomness import evenly_spaced
from asrkd.evaluation.report.figures.bars import Bar, BarAxes, bar_figure
from asrkd.quantizer.shannon import entropy_bits
from asrkd.targets.sources.codebook import CodebookSource

MOST_CUTS = 5000  # evenly spaced, if the store has more


@dataclass(frozen=True)
class CodebookUse:
    """Use of the entries of one codebook."""

    entropy_bits: float  # entropy of the indexes, at most log2 of the codebook size
    used: int  # entries that occur
    largest_share: float  # share of the most frequent entry

    @property
    def perplexity(self) -> float:
        """The number of equally frequent entries with the same entropy."""
        return math.pow(2.0, self.entropy_bits)


@dataclass(frozen=True)
class CodebookStatistics:
    """Use of all codebooks of a store."""

    num_cuts: int  # number of cuts that were read
    total_cuts: int
    num_frames: int
    codebook_size: int
    use: list[CodebookUse]

    @property
    def chance(self) -> float:
        """Cross-entropy of a uniform guess, in nats."""
        return math.log(self.codebook_size)


def measure_codebooks(path: Path) -> CodebookStatistics:
    """Count the entries in a codebook store.

    Raises:
        AsrkdError: the store is unfinished or damaged.
    """
    source = CodebookSource(str(path))
    ids = list(source.store.index.ids())
    chosen = evenly_spaced(ids, MOST_CUTS)
    size = source.codebook_size
    counts = torch.zeros(source.num_codebooks, size, dtype=torch.long)
    for cut_id in chosen:
        indexes = source.store.read(cut_id).long()  # (T, codebooks)
        for number, of_codebook in enumerate(indexes.unbind(1)):
            counts[number] += torch.bincount(of_codebook, minlength=size)
    frames = int(counts[0].sum())
    return CodebookStatistics(len(chosen), len(ids), frames, size, _use(counts, max(frames, 1)))


def _use(counts: torch.Tensor, frames: int) -> list[CodebookUse]:
    shares = counts.double() / frames  # (codebooks, entries)
    return [
        CodebookUse(bits, int((entries > 0).sum()), float(entries.max()))
        for bits, entries in zip(entropy_bits(shares).tolist(), shares, strict=True)
    ]


def entropies(statistics: CodebookStatistics) -> Markup:
    """Draw the entropy of the indexes of each codebook against log2 of its size."""
    bits = math.log2(statistics.codebook_size)
    bars = [
        Bar(
            str(number),
            use.entropy_bits,
            f"codebook {number}: {use.entropy_bits:.2f} bits, perplexity {use.perplexity:.0f}; "
            f"{use.used} of {statistics.codebook_size} used",
        )
        for number, use in enumerate(statistics.use, start=1)
    ]
    label = "Entropy of the indexes of each codebook, in bits"
    most = f"uniform over {statistics.codebook_size}: {bits:g} bits"
    return bar_figure(bars, BarAxes(label, "codebook", bits * 1.1, level=(bits, most)))
