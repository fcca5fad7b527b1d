"""Utterances gathered into blocks that are drawn together: those of a speaker, or of a recording.

Utterances of one speaker are wrong together, so an interval that takes them
for independent is too narrow; blocks are what may be taken for independent.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

# More blocks than these are pooled, at random, into as many: independent blocks stay independent, the
# estimated spread stays unbiased, and its 1,999 degrees of freedom are as good as infinitely many.
MAX_BLOCKS = 2000


def block_sums(values: Numbers, blocks: Sequence[str], seed: int) -> Numbers:
    """Sums over the utterances of each block.

    Args:
        values: (..., U), a number an utterance in each row, such as errors or words.
        blocks: the U names of the blocks that the utterances belong to.
        seed: of the pooling, where there are more than MAX_BLOCKS.

    Returns:
        (..., B), in the order of the blocks' names.

    Raises:
        ValueError: there are not as many names as utterances.
    """
    if len(blocks) != values.shape[-1]:
        raise ValueError(f"{values.shape[-1]} utterances and {len(blocks)} names of blocks")
    index, num_blocks = _numbered(blocks)
    if num_blocks > MAX_BLOCKS:
        pools = np.arange(num_blocks) % MAX_BLOCKS  # of equal size, but for one block
        index = np.random.default_rng(seed).permutation(pools)[index]
        num_blocks = MAX_BLOCKS
    rows = values.reshape(-1, values.shape[-1])
    sums = [np.bincount(index, weights=row, minlength=num_blocks) for row in rows]
    return np.array(sums, np.float64).reshape(*values.shape[:-1], num_blocks)


def _numbered(blocks: Sequence[str]) -> tuple[NDArray[np.int64], int]:
    """The place of each name among the sorted names, and how many there are."""
    names = {name: place for place, name in enumerate(sorted(set(blocks)))}
    return np.array([names[name] for name in blocks], dtype=np.int64), len(names)
