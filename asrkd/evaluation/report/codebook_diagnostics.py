"""What a codebook store holds: how evenly the entries of each codebook are used, and which never."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from markupsafe import Markup

from asrkd.evaluation.report.figures.bars import Bar, Upright, bar_figure
from asrkd.quantizer.shannon import entropy_bits
from asrkd.targets.sources.codebook import CodebookSource

MOST_CUTS = 5000  # evenly spaced ones of a larger store are read


@dataclass(frozen=True)
class CodebookUse:
    """Use of one codebook's entries."""

    entropy_bits: float  # of the indexes; at most log2 of the size
    used: int  # entries that occur
    largest_share: float  # of the commonest entry

    @property
    def perplexity(self) -> float:
        """How many equally common entries would have this entropy."""
        return math.pow(2.0, self.entropy_bits)


@dataclass(frozen=True)
class CodebookFigures:
    """Use of all codebooks of a store."""

    num_cuts: int  # that were read
    total_cuts: int
    num_frames: int
    codebook_size: int
    use: list[CodebookUse]

    @property
    def chance(self) -> float:
        """Cross-entropy, in nats, of guessing all entries alike."""
        return math.log(self.codebook_size)


def measure_codebooks(path: Path) -> CodebookFigures:
    """Count the entries in the store at ``path``.

    Raises:
        AsrkdError: the store is unfinished or damaged.
    """
    source = CodebookSource(str(path))
    ids = list(source.store.index.ids())
    chosen = ids if len(ids) <= MOST_CUTS else ids[:: -(-len(ids) // MOST_CUTS)]
    size = source.codebook_size
    counts = torch.zeros(source.num_codebooks, size, dtype=torch.long)
    for cut_id in chosen:
        indexes = source.store.read(cut_id).long()  # (T, codebooks)
        for number, own in enumerate(indexes.unbind(1)):
            counts[number] += torch.bincount(own, minlength=size)
    frames = int(counts[0].sum())
    return CodebookFigures(len(chosen), len(ids), frames, size, _use(counts, max(frames, 1)))


def _use(counts: torch.Tensor, frames: int) -> list[CodebookUse]:
    shares = counts.double() / frames  # (codebooks, entries)
    return [
        CodebookUse(bits, int((own > 0).sum()), float(own.max()))
        for bits, own in zip(entropy_bits(shares).tolist(), shares, strict=True)
    ]


def entropies(figures: CodebookFigures) -> Markup:
    """Entropy of each codebook's indexes against log2 of its size."""
    bits = math.log2(figures.codebook_size)
    bars = [
        Bar(
            str(number),
            own.entropy_bits,
            f"codebook {number}: {own.entropy_bits:.2f} bits, as {own.perplexity:.0f} equally common ones; "
            f"{own.used} of {figures.codebook_size} used",
        )
        for number, own in enumerate(figures.use, start=1)
    ]
    label = "Entropy of the indexes of each codebook, in bits"
    most = f"all {figures.codebook_size} equally often: {bits:g} bits"
    return bar_figure(bars, Upright(label, "codebook", bits * 1.1, level=(bits, most)))
