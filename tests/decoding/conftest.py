"""CTC done by hand: every alignment of a tiny case, one by one."""

import itertools
import math
from collections import defaultdict
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

Probabilities = dict[tuple[int, ...], float]


def collapse(alignment: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(symbol for symbol, _ in itertools.groupby(alignment) if symbol != 0)


def sum_over_alignments(log_probs: Tensor) -> Probabilities:
    """P(hypothesis) for each hypothesis that (T, V) posteriors allow, by adding up all V**T alignments."""
    frames = log_probs.double().exp().tolist()
    probabilities: Probabilities = defaultdict(float)
    for alignment in itertools.product(range(log_probs.shape[1]), repeat=len(frames)):
        probability = math.prod(frame[symbol] for frame, symbol in zip(frames, alignment, strict=True))
        if probability > 0:
            probabilities[collapse(alignment)] += probability
    return dict(probabilities)


@pytest.fixture(scope="session")
def by_hand() -> Callable[[Tensor], Probabilities]:
    return sum_over_alignments


@pytest.fixture(scope="session")
def random_posteriors() -> Callable[..., Tensor]:
    def make(
        seed: int, shape: tuple[int, ...], *, spread: float = 2.0, share_impossible: float = 0.0
    ) -> Tensor:
        """Log-softmax of noise; blank, and now and then nothing else, stays possible."""
        generator = torch.Generator().manual_seed(seed)
        logits = torch.randn(shape, generator=generator) * spread
        impossible = torch.rand(shape, generator=generator) < share_impossible
        impossible[..., 0] = False
        return logits.masked_fill(impossible, -torch.inf).log_softmax(-1)

    return make
