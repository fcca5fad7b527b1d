"""Search for the indexes of frames by the fastest implementation, torch or numba, with equal indexes.

Notation: B frames, N codebooks, K entries of each, R = N * K rows.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asrkd.quantizer.search import beam, refinement
from asrkd.quantizer.search.tables import CenterTables

Array = np.ndarray[Any, Any]
_Map = Callable[..., Iterator[Any]]


@dataclass(frozen=True)
class IndexSearch:
    """Settings of the search for indexes.

    Attributes:
        beam: beam size of the initial indexes (:mod:`asrkd.quantizer.search.beam`), at most 64; 0 takes
            the classifiers' indexes, as in the paper.
        refinements: maximum number of passes over a frame; fewer once its indexes no longer change.
        keep_better: whether to return the best indexes of all passes; False returns the last, though a
            pass may raise a frame's error.
    """

    beam: int = 12
    refinements: int = 3
    keep_better: bool = True

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: a count is out of range.
        """
        if not 0 <= self.beam <= beam.MAX_BEAM or self.refinements < 0:
            raise ValueError(f"beam {self.beam} or refinements {self.refinements} is out of range")


STANDARD = IndexSearch()
REFERENCE = IndexSearch(beam=0, refinements=5, keep_better=False)  # as in multi_quantization and icefall


def beam_indexes(dots: Tensor, tables: CenterTables, width: int) -> Tensor:
    """Search initial indexes (B, N), int64, as :func:`asrkd.quantizer.search.beam.beam_indexes` does.

    Args:
        dots: (B, R) inner products of the frames with the centers.
        tables: tables of the centers.
        width: beam size, sums kept after every codebook, 1 to 64.
    """
    compiled = _compiled(dots)
    if compiled is None:
        return beam.beam_indexes(dots, tables, width)
    halves = tables.coarse_halves.to(torch.int32).numpy()
    centers = compiled[1].BeamCenters(tables.coarse.numpy(), halves, tables.coarse_units)

    def search(share: Array) -> Array:
        indexes = np.empty((len(share), tables.num_codebooks), np.uint8)
        compiled[1].search_frames(np.ascontiguousarray(share), centers, width, indexes)
        return indexes

    with _threads(len(dots)) as (run, share):
        shares = list(run(search, share(dots.detach().numpy())))
    return torch.from_numpy(np.concatenate(shares)).long()


def refine_rounds(
    dots: Tensor, tables: CenterTables, indexes: Tensor, passes: int, survivors: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return the indexes after 0, 1, ... passes, (passes + 1, B, N) uint8, and changes (passes, B) int64.

    Arguments as in :func:`asrkd.quantizer.search.refinement.refine_rounds`:
    ``dots`` are (B, R), ``indexes`` (B, N); changes are of the squared error,
    in units of the tables.
    """
    compiled = _compiled(dots)
    if compiled is None:
        return refinement.refine_rounds(dots, tables, indexes, passes, survivors)
    centers = compiled[0].Centers(
        tables.gram.numpy(), tables.squares.numpy(), tables.units, _survivors(tables, survivors)
    )

    def search(share: Array, initial: Array) -> tuple[Array, Array]:
        rounds = np.repeat(initial[None], passes + 1, axis=0)
        changes = np.zeros((passes, len(initial)), np.int64)
        compiled[0].refine_frames(np.ascontiguousarray(share), centers, rounds, changes)
        return rounds, changes

    with _threads(len(dots)) as (run, share):
        initial = indexes.to(torch.uint8).numpy()
        shares = list(run(search, share(dots.detach().numpy()), share(initial)))
    rounds, changes = (np.concatenate(arrays, axis=1) for arrays in zip(*shares, strict=True))
    return torch.from_numpy(rounds), torch.from_numpy(changes)


@contextmanager
def _threads(num_frames: int) -> Iterator[tuple[_Map, Callable[[Array], list[Array]]]]:
    """Yield a ``map`` over as many threads as torch has, and the split of an array (B, ...) between them."""
    num_shares = max(1, min(torch.get_num_threads(), num_frames))
    share = partial(np.array_split, indices_or_sections=num_shares)
    if num_shares == 1:
        yield map, share
        return
    with ThreadPoolExecutor(num_shares) as pool:  # machine code releases the GIL
        yield pool.map, share


def _survivors(tables: CenterTables, survivors: int | None) -> Array:
    """Return the number of options that a choice of 1, 2, 4, ... codebooks keeps."""
    base = survivors or refinement.default_survivors(tables.codebook_size)
    spans = [1 << level for level in range((tables.num_codebooks - 1).bit_length() + 1)]
    return np.array([refinement.num_survivors(base, span, tables.num_codebooks) for span in spans], np.int64)


def _compiled(dots: Tensor) -> tuple[ModuleType, ModuleType] | None:
    """Return the numba modules of the passes and of the beam if they support ``dots``, else None."""
    return _load_compiled() if dots.device.type == "cpu" and dots.dtype == torch.float32 else None


@lru_cache(maxsize=1)
def _load_compiled() -> tuple[ModuleType, ModuleType] | None:
    try:
        from asrkd.quantizer.search import beam_numba, refinement_numba
    except (ImportError, RuntimeError):  # without numba, or without a folder for its cache
        return None
    return refinement_numba, beam_numba
