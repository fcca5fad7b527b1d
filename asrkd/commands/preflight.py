"""Preflight of ``asrkd distill`` as jobs: mistakes that are cheap to find before the jobs wait in a queue.

Checked are the options, the existence and kind of the teacher, the cuts, and
the settings in the record of the output folder. The teacher is not loaded, as
the machine that submits may lack the memory and the GPU: layers, lengths of
audio and changed weights are left to the jobs. The other commands check
themselves: ``check`` in :mod:`asrkd.commands.prepare`,
:mod:`asrkd.commands.train` and :mod:`asrkd.commands.score`.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from asrkd.commands.distill_request import DistillRequest, QuantizerRequest, check_dtype
from asrkd.core import output_folder
from asrkd.core.artifacts import CONTRACT
from asrkd.core.errors import AsrkdError
from asrkd.data.cuts.packed import PackedCuts
from asrkd.data.cuts.records import cuts_digest, texts_digest
from asrkd.decoding import SearchOptions, find_search
from asrkd.decoding.recognition import search_record
from asrkd.quantizer.storage import load_quantizer
from asrkd.scoring.units import Unit
from asrkd.teachers.loading import check_teacher


def nbest(
    request: DistillRequest, teachers: Sequence[Path], search: str, options: SearchOptions, unit: Unit
) -> int:
    """Check ``distill nbest``; return the number of shards.

    Args:
        request: teacher, cuts and store.
        teachers: all teachers, one or one for each fold.
        search: name of the search.
        options: options of the search.
        unit: unit of the errors.

    Raises:
        AsrkdError: a mistake was found.
    """
    find_search(search, options)
    cuts = _open(request, "nbest", teachers)
    texts = {"references": texts_digest(cuts)} | unit.record()
    return _check_store(request, "nbest", cuts, {"search": search_record(search, options)} | texts)


def codebook(request: DistillRequest, source: Path | QuantizerRequest) -> int:
    """Check ``distill codebook`` with a quantizer, or the settings of one; return the number of shards."""
    cuts = _open(request, "codebook")
    if isinstance(source, QuantizerRequest):
        _check_layer(source.layer)
        return _check_store(request, "codebook", cuts, {"layer": source.layer})
    identity = {"sha256": load_quantizer(source).identity}
    stored = output_folder.inspect(request.out, CONTRACT)
    if isinstance(stored, dict) and isinstance(stored.get("quantizer"), dict):
        identity = stored["quantizer"] | identity
    return _check_store(request, "codebook", cuts, {"quantizer": identity})


def quantizer(request: DistillRequest, settings: QuantizerRequest) -> None:
    """Check ``distill quantizer``."""
    cuts = _open(request, "quantizer")
    _check_layer(settings.layer)
    known = {key: value for key, value in asdict(settings).items() if value is not None}
    output_folder.check_settings(request.out, CONTRACT, _record("quantizer", cuts) | known)


def posterior(request: DistillRequest, dtype: str) -> int:
    """Check ``distill posterior``; return the number of shards."""
    check_dtype(dtype)
    return _check_store(request, "posterior", _open(request, "posterior"), {"dtype": dtype})


def hidden(request: DistillRequest, layer: int, dtype: str) -> int:
    """Check ``distill hidden``; return the number of shards."""
    check_dtype(dtype)
    _check_layer(layer)
    return _check_store(request, "hidden", _open(request, "hidden"), {"layer": layer, "dtype": dtype})


def _open(request: DistillRequest, kind: str, teachers: Sequence[Path] = ()) -> PackedCuts:
    """Check numbers and teachers, and read the cuts."""
    request.check_numbers()
    for teacher in teachers or [request.teacher]:
        check_teacher(teacher, kind)
    return request.read_cuts()


def _check_layer(layer: int) -> None:
    if layer < 1:
        raise AsrkdError(f"--layer {layer}: expected 1 or more")


def _record(kind: str, cuts: PackedCuts) -> dict[str, Any]:
    return {"kind": kind, "cuts": {"count": len(cuts), "digest": cuts_digest(cuts)}}


def _check_store(request: DistillRequest, kind: str, cuts: PackedCuts, details: dict[str, Any]) -> int:
    """Check the settings of the store's folder; return the number of its shards."""
    record = _record(kind, cuts) | details | {"cuts_per_shard": request.cuts_per_shard}
    output_folder.check_settings(request.out, CONTRACT, record)
    return -(-len(cuts) // request.cuts_per_shard)
