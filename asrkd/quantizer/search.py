"""The search for a frame's indexes, by whichever means is quickest here: the indexes are the same."""

from functools import lru_cache
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from asrkd.quantizer import refinement
from asrkd.quantizer.tables import CenterTables


def refine(
    dots: Tensor, tables: CenterTables, indexes: Tensor, survivors: int | None = None
) -> tuple[Tensor, Tensor]:
    """One pass; arguments and results are those of :func:`asrkd.quantizer.refinement.refine`."""
    compiled = _compiled() if dots.device.type == "cpu" else None
    if compiled is None or dots.dtype != torch.float32:
        return refinement.refine(dots, tables, indexes, survivors)
    after, changes = indexes.numpy().copy(), np.empty(len(indexes), np.int64)
    compiled.use_threads(torch.get_num_threads())
    compiled.refine_frames(
        np.ascontiguousarray(dots.numpy()),
        tables.gram.numpy(),
        tables.units,
        np.array([tables.num_codebooks, tables.codebook_size]),
        _survivors(tables, survivors),
        after,
        changes,
    )
    return torch.from_numpy(after), torch.from_numpy(changes)


def _survivors(tables: CenterTables, survivors: int | None) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Options that a choice of 1, 2, 4, ... codebooks keeps."""
    base = survivors or refinement.default_survivors(tables.codebook_size)
    spans = [1 << level for level in range((tables.num_codebooks - 1).bit_length() + 1)]
    return np.array([refinement.num_survivors(base, span, tables.num_codebooks) for span in spans], np.int64)


@lru_cache(maxsize=1)
def _compiled() -> ModuleType | None:
    try:
        from asrkd.quantizer import compiled
    except ImportError:  # without numba
        return None
    return compiled
