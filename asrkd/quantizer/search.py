"""The search for a frame's indexes, by whichever means is quickest here: the indexes are the same."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asrkd.quantizer import refinement
from asrkd.quantizer.tables import CenterTables

Array = np.ndarray[Any, Any]


def refine_rounds(
    dots: Tensor, tables: CenterTables, indexes: Tensor, passes: int, survivors: int | None = None
) -> tuple[Tensor, Tensor]:
    """All passes; arguments and results are those of :func:`asrkd.quantizer.refinement.refine_rounds`."""
    compiled = _compiled() if dots.device.type == "cpu" else None
    if compiled is None or dots.dtype != torch.float32:
        return refinement.refine_rounds(dots, tables, indexes, passes, survivors)
    centers = compiled.Centers(
        tables.gram.numpy(), tables.squares.numpy(), tables.units, _survivors(tables, survivors)
    )
    parts = max(1, min(torch.get_num_threads(), len(dots)))
    tasks = [
        (compiled.refine_frames, own, first, centers, passes)
        for own, first in zip(
            np.array_split(dots.detach().numpy(), parts),
            np.array_split(indexes.to(torch.uint8).numpy(), parts),
            strict=True,
        )
    ]
    if len(tasks) == 1:
        found = [_refine_part(*tasks[0])]
    else:
        with ThreadPoolExecutor(len(tasks)) as pool:  # machine code runs beside others
            found = list(pool.map(lambda task: _refine_part(*task), tasks))
    rounds, changes = (np.concatenate(some, axis=1) for some in zip(*found, strict=True))
    return torch.from_numpy(rounds), torch.from_numpy(changes)


def _refine_part(
    refine_frames: Callable[..., None], dots: Array, first: Array, centers: Any, passes: int
) -> tuple[Array, Array]:
    """(passes + 1, b, N) indexes and (passes, b) changes of some frames."""
    rounds = np.repeat(first[None], passes + 1, axis=0)
    changes = np.zeros((passes, len(first)), np.int64)
    refine_frames(np.ascontiguousarray(dots), centers, rounds, changes)
    return rounds, changes


def _survivors(tables: CenterTables, survivors: int | None) -> Array:
    """Options that a choice of 1, 2, 4, ... codebooks keeps."""
    base = survivors or refinement.default_survivors(tables.codebook_size)
    spans = [1 << level for level in range((tables.num_codebooks - 1).bit_length() + 1)]
    return np.array([refinement.num_survivors(base, span, tables.num_codebooks) for span in spans], np.int64)


@lru_cache(maxsize=1)
def _compiled() -> ModuleType | None:
    try:
        from asrkd.quantizer import compiled
    except (ImportError, RuntimeError):  # without numba, or without a folder for what it compiles
        return None
    return compiled
