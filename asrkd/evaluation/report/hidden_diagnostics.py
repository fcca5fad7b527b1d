"""Diagnostics of stores of hidden states: the histogram of TutorNet's frame weights."""

import torch
from markupsafe import Markup

from asrkd.evaluation.report.figures.bars import Bar, BarAxes, bar_figure
from asrkd.targets.store.hidden_statistics import HiddenStatistics

NUM_BARS = 20
LABELED_EVERY = 4  # labels of three decimals need the place of four bars


def histogram(statistics: HiddenStatistics) -> Markup:
    """Draw the shares of frames by weight, from the least weight to the largest."""
    low, high = float(statistics.weights.min()), float(statistics.weights.max())
    high = max(high, low + 1e-6)  # weights that are all the same
    counts = torch.histc(statistics.weights.float(), bins=NUM_BARS, min=low, max=high)
    shares = (counts / max(float(counts.sum()), 1.0)).tolist()
    width = (high - low) / NUM_BARS
    bars = []
    for number, share in enumerate(shares):
        first, last = low + number * width, low + (number + 1) * width
        label = f"{first:.3f}" if number % LABELED_EVERY == 0 else ""
        bars.append(Bar(label, share, f"{first:.4f} to {last:.4f}: {share:.1%} of the frames"))
    return bar_figure(bars, BarAxes("Share of the frames by weight", "frame weight", is_percent=True))
