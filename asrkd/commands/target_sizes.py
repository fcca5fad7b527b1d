"""Command ``targets sizes``: bytes of target stores, compared with the largest one.

Reads:   stores of ``asrkd distill``.
Writes:  nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asrkd.core import output_folder
from asrkd.core.artifacts import CONTRACT
from asrkd.core.errors import AsrkdError
from asrkd.core.files import sha256
from asrkd.core.shell import command
from asrkd.targets.store import shards
from asrkd.targets.store.store import check_payload


@dataclass(frozen=True)
class StoreSize:
    """Bytes of a store."""

    name: str
    total: int  # size of the folder, index and contract included
    payload: int  # size of the targets alone


def target_sizes(stores: Sequence[Path]) -> str:
    """Return a table of the stores: bytes, and how many times smaller than the largest payload.

    For embeddings and codebook indexes of the same frames, the ratio is the compression rate. The bytes
    of a store include its index of cuts.

    Raises:
        AsrkdError: a folder is not a store, is unfinished, or holds a torn shard.
    """
    sizes = [_measure(store) for store in stores]
    largest = max(size.payload for size in sizes)
    width = max(12, *(len(size.name) for size in sizes))
    rows = [f"{'targets':<{width}} {'bytes':>12} {'x smaller':>10}"]
    rows += [f"{size.name:<{width}} {size.total:>12d} {largest / size.total:>10.2f}" for size in sizes]
    return "\n".join(rows)


def _measure(store: Path) -> StoreSize:
    """Measure the store; AsrkdError if it is none."""
    maker = command("asrkd", "distill", "...", "--out", store)
    output_folder.read_stamp(store, maker)
    files = [path for path in store.iterdir() if path.is_file() and path.suffix != ".partial"]
    indexes = {path for path in files if path.name.endswith(shards.SUFFIX)}
    payloads = [path for path in files if path not in indexes and shards.index_path(path) in indexes]
    if store / CONTRACT not in files or not payloads:
        raise AsrkdError(f"{store}: not a target store; make one with: {maker}")
    contract = sha256(store / CONTRACT)
    for payload in payloads:
        check_payload(payload, contract, lambda path, _: path.stat().st_size)
    return StoreSize(store.resolve().name, _bytes(files), _bytes(payloads))


def _bytes(files: Sequence[Path]) -> int:
    return sum(path.stat().st_size for path in files)
