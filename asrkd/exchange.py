"""Stage ``targets``: stores of codebook indexes to and from the form that icefall uses.

Reads:   export: a store and the cuts it was made of; import: a cuts manifest
         whose cuts carry ``codebook_indexes``.
Writes:  export: ``cuts.jsonl.gz``, the arrays that it names, and a stamp;
         import: a store.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lhotse import MonoCut

from asrkd import files, outputs
from asrkd.cut_records import cuts_digest, texts_digest
from asrkd.errors import AsrkdError
from asrkd.file_names import hashed_names
from asrkd.manifests import read_cuts, write_cuts
from asrkd.outputs import State
from asrkd.packed_cuts import CutsById, PackedCuts
from asrkd.progress import meter
from asrkd.shards import Shard
from asrkd.shared_work import Crew
from asrkd.shell import command
from asrkd.stopping import StopRequest
from asrkd.targets import icefall
from asrkd.targets.array_store import VALUES, ArrayStore, write_array_shard
from asrkd.targets.contract import FORMAT
from asrkd.targets.making import StorePlan, make_store
from asrkd.targets.sources import Sources
from asrkd.targets.store import CONTRACT
from asrkd.task_monitor import TaskMonitor

RECORD = "export.json"
FORMATS = ("icefall",)


@dataclass(frozen=True)
class ExportRequest:
    """What to export, and how."""

    store: Path
    cuts: Path
    out: Path
    format: str = "icefall"
    storage: str = "numpy_files"


def export_targets(request: ExportRequest, stop: StopRequest) -> str:
    """Write cuts that carry their codebook indexes, for lhotse and icefall; a line about it.

    Raises:
        AsrkdError: the store does not match the cuts, or a format is not known.
        StoppedInTime: asked to stop; run again to begin anew.
    """
    _check_format(request.format)
    icefall.check_storage(request.storage)
    store, cuts = ArrayStore(request.store, "codebook"), read_cuts(request.cuts)
    store.verify(cuts)
    record = {
        "format": request.format,
        "storage": request.storage,
        "contract": files.sha256(request.store / CONTRACT),
        "cuts": cuts_digest(cuts),
        "texts": texts_digest(cuts),
    }
    if outputs.survey(request.out, RECORD, record) is State.NEW:
        for cut in cuts:  # damage is told before the folder is claimed
            stop.check("reading the store; nothing is written yet")
            store.read(cut.id)
    claimed = outputs.claim(request.out, RECORD, record)
    manifest = request.out / "cuts.jsonl.gz"
    if claimed is not State.COMPLETE:
        exported, keys = PackedCuts(), hashed_names((cut.id for cut in cuts.records), icefall.NUMPY_SUFFIX)
        with (
            icefall.open_writer(request.out, request.storage) as writer,
            meter("export", len(cuts), "cuts") as shown,
        ):
            for cut in cuts:
                stop.check(f"{request.out}: unfinished")
                exported.append(icefall.with_indexes(cut, store, writer, keys.get(cut.id, cut.id)))
                shown.advance(audio_s=cut.duration)
        write_cuts(manifest, exported)
        outputs.stamp(request.out, {"num_cuts": len(cuts)})
    already = "already complete, " if claimed is State.COMPLETE else ""
    return f"{manifest}: {already}{len(cuts)} cuts with {icefall.FIELD} ({request.storage})"


@dataclass(frozen=True)
class ImportRequest:
    """What to import, and for which cuts."""

    manifest: Path  # its cuts carry the indexes
    out: Path
    cuts: Path | None = None  # as asrkd prepared them, to be trained on; None: those of the manifest
    format: str = "icefall"
    cuts_per_shard: int = 200


def import_targets(request: ImportRequest, stop: StopRequest) -> str:
    """Make a store of the codebook indexes that a manifest's cuts carry; a line about it.

    Raises:
        AsrkdError: a cut has no indexes, they do not fit its length, or the
            cuts to be trained on are not those of the manifest.
        StoppedInTime: asked to stop; finished shards stay.
    """
    _check_format(request.format)
    if request.cuts_per_shard < 1:
        raise AsrkdError(f"--cuts-per-shard {request.cuts_per_shard}: expected 1 or more")
    own = None if request.cuts is None else read_cuts(request.cuts)
    theirs = icefall.read_carrying(request.manifest, own)
    carrying = CutsById(theirs)
    codebooks, frame_shift = icefall.common_shape(theirs, request.manifest)
    cuts = theirs if own is None else own
    for cut in cuts:
        _check_same(cut, carrying, request)
    contract = {
        "format": FORMAT,
        "kind": "codebook",
        "imported": {"format": request.format, "manifest_sha256": files.sha256(request.manifest)},
        "frame_shift": frame_shift,
        "first_frame_offset": 0.0,
        "length_rule": "as imported",
        "quantizer": {"num_codebooks": codebooks, "codebook_size": 256},
        "cuts": {"count": len(cuts), "digest": cuts_digest(cuts)},
        "cuts_per_shard": request.cuts_per_shard,
    }
    words: list[str | Path] = ["asrkd", "targets", "import", request.manifest, "--format", request.format]
    words += [] if request.cuts is None else ["--cuts", request.cuts]
    plan = StorePlan(
        out=request.out,
        contract=contract,
        sources=Sources(command(*words), None, (request.cuts or request.manifest,)),
        cuts=cuts,
        suffix=ArrayStore.suffix,
        device="cpu",
        cuts_per_shard=request.cuts_per_shard,
    )
    if outputs.inspect(request.out, CONTRACT) is None:
        for cut in cuts:  # a manifest that is mended is another one: what is wrong is told before the claim
            stop.check("reading the indexes; nothing is written yet")
            icefall.stored_indexes(carrying[cut.id], request.manifest)
    write = partial(_write_imported, carrying=carrying, manifest=request.manifest)
    return make_store(plan, write, Crew(), stop).text() + f", {codebooks} codebooks every {frame_shift:g} s"


def _write_imported(
    shard: Shard, monitor: TaskMonitor, carrying: Mapping[str, MonoCut], manifest: Path
) -> None:
    arrays = [{VALUES: icefall.stored_indexes(carrying[cut.id], manifest)[0]} for cut in shard.cuts]
    write_array_shard(shard.path, shard.request, shard.cuts, arrays)
    monitor.advance(shard.size)


def _check_same(cut: MonoCut, carrying: Mapping[str, MonoCut], request: ImportRequest) -> None:
    """Refuse a cut that has no namesake in the manifest, or one of another length."""
    namesake = carrying.get(cut.id)
    if namesake is None:
        raise AsrkdError(f"{request.cuts}: cut {cut.id} is not in {request.manifest}")
    if abs(namesake.duration - cut.duration) > 1 / cut.sampling_rate:
        raise AsrkdError(
            f"{request.cuts}: cut {cut.id} has {cut.duration:g} s, the one in {request.manifest} "
            f"{namesake.duration:g} s: other audio of the same name"
        )


def _check_format(name: str) -> None:
    if name not in FORMATS:
        raise AsrkdError(f"--format {name}: expected {', '.join(FORMATS)}")
