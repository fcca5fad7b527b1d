"""The search for a frame's indexes, by whichever means is quickest here: the indexes are the same."""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from asrkd.quantizer import refinement
from asrkd.quantizer.tables import CenterTables


def refine_rounds(
    dots: Tensor, tables: CenterTables, indexes: Tensor, passes: int, survivors: int | None = None
) -> tuple[Tensor, Tensor]:
    """All passes; arguments and results are those of :func:`asrkd.quantizer.refinement.refine_rounds`."""
    compiled = _compiled() if dots.device.type == "cpu" else None
    if compiled is None or dots.dtype != torch.float32:
        return refinement.refine_rounds(dots, tables, indexes, passes, survivors)
    rounds = np.empty((passes + 1, *indexes.shape), np.uint8)
    rounds[0] = indexes.numpy()
    changes = np.zeros((passes, len(indexes)), np.int64)
    centers = compiled.Centers(
        tables.gram.numpy(), tables.squares.numpy(), tables.units, _survivors(tables, survivors)
    )
    values = np.ascontiguousarray(dots.detach().numpy())

    def refine(part: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> None:
        some = slice(part[0], part[-1] + 1)
        own = np.ascontiguousarray(rounds[:, some]), np.ascontiguousarray(changes[:, some])
        compiled.refine_frames(values[some], centers, *own)
        rounds[:, some], changes[:, some] = own

    parts = np.array_split(np.arange(len(values)), max(1, min(torch.get_num_threads(), len(values))))
    if len(parts) == 1 and len(values):
        refine(parts[0])
    elif len(values):
        with ThreadPoolExecutor(len(parts)) as pool:  # machine code runs beside others
            list(pool.map(refine, parts))
    return torch.from_numpy(rounds), torch.from_numpy(changes)


def _survivors(tables: CenterTables, survivors: int | None) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
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
