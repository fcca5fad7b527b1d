"""Random numbers that are functions of where we are, not of how we came here.

Data side: of (seed, epoch, cut id), so that any number of loader workers and
any resumption draw the same. Model side: of (seed, step).
"""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive(*parts: int | str) -> int:
    """A 63-bit seed from what identifies a place, equal on every machine."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big") >> 1


@contextmanager
def seeded(*parts: int | str) -> Iterator[random.Random]:
    """Within the block, Python's and torch's global generators start from ``parts``.

    For libraries that draw from them; both are put back afterwards. The
    generator given is a private one with the same start.
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
    """As torch.manual_seed, which without a GPU in use notes its caller's whole stack, at each call."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
