"""Seeds of random generators as functions of a position in the data or the training.

On the data side a seed is a function of (seed, epoch, cut id), so that any number
of loader workers, and a resumed run, draw the same numbers. On the model side it
is a function of (seed, step). Where a sample need not be random, no seed changes it
(:func:`evenly_spaced`).
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")


def evenly_spaced(items: Sequence[Item], most: int) -> list[Item]:
    """Choose at most ``most`` of some items, from the first on, evenly spaced; all if there are no more."""
    return [items[row] for row in range(0, len(items), max(1, -(-len(items) // most)))]


def derive(*parts: int | str) -> int:
    """Derive a 63-bit seed from the parts of a position, equal on every machine."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big") >> 1


@contextmanager
def seeded(*parts: int | str) -> Iterator[random.Random]:
    """Seed Python's and torch's global generators from ``parts`` within the block, and restore them after it.

    Some libraries draw from global generators. Yields a private
    generator with the same seed.
    """
    seed = derive(*parts)
    python_state, torch_state = random.getstate(), torch.get_rng_state()
    random.seed(seed)
    seed_torch(seed)
    try:
        yield random.Random(seed)
    finally:
        random.setstate(python_state)
        torch.set_rng_state(torch_state)


def seed_torch(seed: int) -> None:
    """Seed torch without torch.manual_seed, which saves the whole stack at each call if no GPU is in use."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
