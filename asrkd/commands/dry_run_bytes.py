"""Bytes that a store will take: its payloads by the lengths of their cuts, its indexes, its small files.

Lengths of targets over frames follow from the contract's length rule; those of
N-best lists from a linear fit to the durations and transcripts of measured
cuts. Indexes are written with these lengths, the small files with their
contents, so that they are counted as they will be.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asrkd.commands.dry_run_costs import ShardCost
from asrkd.core import files
from asrkd.core.output_folder import State
from asrkd.core.randomness import evenly_spaced
from asrkd.data.cuts.records import CutRecord, records
from asrkd.models.frame_timing import expected_frames
from asrkd.targets.store.arrays import read_layouts
from asrkd.targets.store.building import StorePlan
from asrkd.targets.store.provenance import sources_record
from asrkd.targets.store.shards import DIGEST_LENGTH, Entry, Payload, Shard, index_path, write_index

MIN_FITTED = 12  # measured cuts for a fit of several coefficients
MAX_INDEXES = 20  # shards, evenly spaced, whose indexes are written


@dataclass(frozen=True)
class Bytes:
    """Bytes that are to be written."""

    payload: float
    index: float
    others: int  # contract, sources, stamp

    @property
    def total(self) -> float:
        """All of them."""
        return self.payload + self.index + self.others


def predicted_lengths(
    contract: Mapping[str, object], measured: Mapping[str, int], cuts: Sequence[CutRecord]
) -> dict[str, float]:
    """Predict the lengths of cuts in the payload, in rows or bytes, by id.

    Args:
        contract: contract of the store.
        measured: lengths of some of the cuts, by id.
        cuts: cuts to predict.
    """
    is_nbest = contract["kind"] == "nbest"
    known = [cut for cut in cuts if cut.id in measured]
    lengths = np.array([measured[cut.id] for cut in known], dtype=float)

    def predictors(of_cuts: Sequence[CutRecord]) -> Any:
        if is_nbest and len(known) >= MIN_FITTED:
            texts = [sum(len(text or "") for text in cut.texts) for cut in of_cuts]
            return np.array([(1.0, cut.duration, text) for cut, text in zip(of_cuts, texts, strict=True)])
        frames = [None if is_nbest else expected_frames(dict(contract), *_timing(cut)) for cut in of_cuts]
        return np.array([[cut.duration if n is None else n] for cut, n in zip(of_cuts, frames, strict=True)])

    fit = np.linalg.lstsq(predictors(known), lengths, rcond=None)[0]
    fitted = np.maximum(predictors(cuts) @ fit, 0.0)
    return {cut.id: float(measured.get(cut.id, length)) for cut, length in zip(cuts, fitted, strict=True)}


def _timing(cut: CutRecord) -> tuple[float, int]:
    return cut.duration, cut.sampling_rate


def store_bytes(
    plan: StorePlan,
    state: State,
    folder: Path,
    left: Sequence[Shard],
    shards: Sequence[ShardCost],
    lengths: Mapping[str, float],
) -> Bytes:
    """Return the bytes of the missing shards, and of the small files of a new store.

    Args:
        plan: plan of the store.
        state: state of its folder; the contract and sources of one that exists are there.
        folder: temporary folder, where indexes are written.
        left: missing shards.
        shards: measured shards, one or more.
        lengths: length of each cut in its payload, in rows or bytes, by id.
    """
    row_bytes, header_bytes = _payload_layout(plan, shards[-1].path)
    payload = row_bytes * sum(lengths.values()) + header_bytes * len(left)
    others = {"stamp": plan.stamp}
    if state is State.NEW:
        others |= {"contract": plan.contract, "sources": sources_record(plan.out, plan.sources)}
    small = sum(len(files.json_text(record).encode()) for record in others.values())
    return Bytes(payload, _index_bytes(folder / "index", left, lengths), small)


def _payload_layout(plan: StorePlan, path: Path) -> tuple[int, int]:
    """Return the bytes of a row of a payload, and those of its header; of lists a byte, and none."""
    if plan.contract["kind"] == "nbest":
        return 1, 0
    layouts = read_layouts(path).values()
    return sum(layout.row_bytes for layout in layouts), min(layout.start for layout in layouts)


def _index_bytes(folder: Path, left: Sequence[Shard], lengths: Mapping[str, float]) -> float:
    """Return the bytes of all indexes, from some that are written with random checksums."""
    draw = random.Random(1)
    num_bytes = num_cuts = 0
    for shard in evenly_spaced(left, MAX_INDEXES):
        offset, entries = 0, []
        for record in records(shard.cuts):
            length = round(lengths[record.id])
            entry = Entry(offset, length, record.digest[:DIGEST_LENGTH], draw.getrandbits(32))
            entries.append((record.id, entry))
            offset += length
        path = folder / shard.path.name
        write_index(path, Payload(offset, f"{draw.getrandbits(256):064x}", shard.request), entries)
        num_bytes, num_cuts = num_bytes + index_path(path).stat().st_size, num_cuts + shard.size
    return num_bytes / num_cuts * sum(shard.size for shard in left)
