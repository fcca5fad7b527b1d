"""Commands ``targets export``, ``import`` and ``weights``: exchange with icefall, and a preview of weights.

Reads:   a store and its cuts; import: a cuts manifest with ``codebook_indexes``.
Writes:  export: ``cuts.jsonl.gz``, the arrays that it names, and a stamp;
         import: a store; weights: nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from lhotse import MonoCut

from asrkd.core import config, files, output_folder
from asrkd.core.artifacts import CONTRACT
from asrkd.core.command_record import current_command
from asrkd.core.errors import AsrkdError
from asrkd.core.file_names import hashed_names
from asrkd.core.output_folder import State
from asrkd.core.progress import meter
from asrkd.core.shared_work import Workers
from asrkd.core.stopping import StopRequest
from asrkd.core.task_monitor import TaskMonitor
from asrkd.data.cuts.manifests import read_cuts, write_cuts
from asrkd.data.cuts.packed import CutsById, PackedCuts
from asrkd.data.cuts.records import CutRecord, cuts_digest, texts_digest
from asrkd.scoring.units import WORD
from asrkd.targets.nbest import Nbest
from asrkd.targets.sources.nbest import NbestLists
from asrkd.targets.sources.settings import SequenceSettings
from asrkd.targets.store import icefall
from asrkd.targets.store.arrays import VALUES, ArrayStore, write_array_shard
from asrkd.targets.store.building import StorePlan, make_store
from asrkd.targets.store.contract import FORMAT
from asrkd.targets.store.hidden_statistics import measure_hidden
from asrkd.targets.store.provenance import Sources, read_sources
from asrkd.targets.store.shards import Shard

PAPER_BETAS = (1.0, 2.0, 5.0)


@dataclass(frozen=True)
class WeighRequest:
    """Request of a preview of weights: a store, and settings of an objective."""

    store: Path
    cuts: tuple[Path, ...] = ()  # manifests; if empty, the manifests that the store was made from
    overrides: tuple[str, ...] = ()  # key=value, as in an objective's config
    betas: tuple[float, ...] | None = None  # None: those of ERR-KD's paper


def weigh(request: WeighRequest) -> str:
    """Preview what filters remove and how weights are spread, for each beta; or the weights of frames.

    Returns:
        Human-readable lines.

    Raises:
        AsrkdError: a setting is unknown, the store lacks data for it, or its cuts
            manifests have moved.
    """
    kind = _kind(request.store)
    if kind == "hidden":
        return _weigh_frames(request)
    if kind not in (None, "nbest"):
        raise AsrkdError(
            f"{request.store}: holds {kind!r} targets, which have no weights; expected 'nbest' or 'hidden'"
        )
    cuts, betas = _cuts(request), PAPER_BETAS if request.betas is None else request.betas
    lines, unit = list[str](), WORD
    for beta in betas:
        tree: dict[str, object] = {"targets": str(request.store)}
        for override in (*request.overrides, f"weights.beta={beta:g}"):
            config.set_key(tree, override)
        settings = config.parse(SequenceSettings, tree, "--set")
        lists = NbestLists(request.store, settings)
        selection, unit = lists.examine(cuts, _accept), lists.unit
        for line in selection.lines:
            statistic = line.removeprefix(f"{request.store}: ")
            if statistic.startswith("weights of"):
                statistic = f"beta {beta:g}: {statistic}"
            if statistic not in lines:  # filters remove the same at every beta
                lines.append(statistic)
    left = len(selection.ids)
    note = "" if unit == WORD else f"; errors, words and {unit.rate} are in --unit {unit.name}"
    return "\n".join([*lines, f"{request.store}: {left} of {len(cuts)} cuts have hypotheses left{note}"])


def _kind(store: Path) -> str | None:
    """Return the kind of a store; None if its contract does not say. AsrkdError if there is no store."""
    if not store.is_dir():
        raise AsrkdError(f"{store}: no such store; make one with: asrkd distill nbest ..., or hidden ...")
    contract = files.read_json(store / CONTRACT) if (store / CONTRACT).is_file() else None
    return contract.get("kind") if isinstance(contract, dict) else None


def _weigh_frames(request: WeighRequest) -> str:
    """Describe TutorNet's frame weights of a store of hidden states."""
    idle = {"--beta": request.betas is not None, "--set": request.overrides, "--cuts": request.cuts}
    for option, is_set in idle.items():
        if is_set:
            raise AsrkdError(f"{option}: no effect on {request.store}, which holds hidden states; remove it")
    return f"{request.store}: {measure_hidden(request.store).text()}"


def _cuts(request: WeighRequest) -> PackedCuts:
    sources = read_sources(request.store)
    manifests: Sequence[Path] = request.cuts or (sources.cuts if sources else ())
    if not manifests or not all(path.is_file() for path in manifests):
        raise AsrkdError(f"{request.store}: its cuts manifests have moved; give them with --cuts")
    if request.betas == ():
        raise AsrkdError("--beta: expected one or more")
    first, *rest = (read_cuts(path) for path in manifests)
    return PackedCuts(chain(first, *rest)) if rest else first


def _accept(_record: CutRecord, _nbest: Nbest) -> None:
    """Accept all texts: without a student there are no tokens to spell them with."""


RECORD = "export.json"
FORMATS = ("icefall",)


@dataclass(frozen=True)
class ExportRequest:
    """Request of an export: store, cuts, output folder and formats."""

    store: Path
    cuts: Path
    out: Path
    format: str = "icefall"
    storage: str = "numpy_files"


def export_targets(request: ExportRequest, stop: StopRequest) -> str:
    """Write cuts with their codebook indexes, as lhotse and icefall read them.

    Returns:
        One line: the manifest and its cuts.

    Raises:
        AsrkdError: the store does not match the cuts, or a format is unknown.
        StoppedInTime: a stop was requested; run again to start over.
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
    if output_folder.survey(request.out, RECORD, record) is State.NEW:
        for cut in cuts:  # damage is an error before the folder is claimed
            stop.check("reading the store; nothing is written yet")
            store.read(cut.id)
    state = output_folder.claim(request.out, RECORD, record)
    manifest = request.out / "cuts.jsonl.gz"
    if state is not State.COMPLETE:
        exported, keys = PackedCuts(), hashed_names((cut.id for cut in cuts.records), icefall.NUMPY_SUFFIX)
        with (
            icefall.open_writer(request.out, request.storage) as writer,
            meter("export", len(cuts), "cuts") as progress,
        ):
            for cut in cuts:
                stop.check(f"{request.out}: unfinished")
                exported.append(icefall.with_indexes(cut, store, writer, keys.get(cut.id, cut.id)))
                progress.advance(audio_s=cut.duration)
        write_cuts(manifest, exported)
        output_folder.stamp(request.out, {"num_cuts": len(cuts)})
    already = "already complete, " if state is State.COMPLETE else ""
    return f"{manifest}: {already}{len(cuts)} cuts with {icefall.FIELD} ({request.storage})"


@dataclass(frozen=True)
class ImportRequest:
    """Request of an import: manifest, cuts, output folder and format."""

    manifest: Path  # manifest of cuts with codebook_indexes
    out: Path
    cuts: Path | None = None  # cuts prepared by asrkd, to train on; None: the cuts of the manifest
    format: str = "icefall"
    cuts_per_shard: int = 200


def import_targets(request: ImportRequest, stop: StopRequest) -> str:
    """Make a store of the codebook indexes in a manifest's cuts.

    Returns:
        One line: the store and its codebooks.

    Raises:
        AsrkdError: a cut has no indexes, they do not fit its length, or the
            manifest lacks a cut to train on.
        StoppedInTime: a stop was requested; finished shards stay.
    """
    _check_format(request.format)
    if request.cuts_per_shard < 1:
        raise AsrkdError(f"--cuts-per-shard {request.cuts_per_shard}: expected 1 or more")
    prepared = None if request.cuts is None else read_cuts(request.cuts)
    imported = icefall.read_carrying(request.manifest, prepared)
    carrying = CutsById(imported)
    codebooks, frame_shift = icefall.common_shape(imported, request.manifest)
    cuts = imported if prepared is None else prepared
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
    plan = StorePlan(
        out=request.out,
        contract=contract,
        sources=Sources(current_command(), None, (request.cuts or request.manifest,)),
        cuts=cuts,
        suffix=ArrayStore.suffix,
        device="cpu",
        cuts_per_shard=request.cuts_per_shard,
    )
    if output_folder.inspect(request.out, CONTRACT) is None:
        for cut in cuts:  # a fixed manifest has another hash: check before the claim
            stop.check("reading the indexes; nothing is written yet")
            icefall.stored_indexes(carrying[cut.id], request.manifest)
    write = partial(_write_imported, carrying=carrying, manifest=request.manifest)
    return (
        make_store(plan, write, Workers(), stop).text() + f", {codebooks} codebooks every {frame_shift:g} s"
    )


def _write_imported(
    shard: Shard, monitor: TaskMonitor, carrying: Mapping[str, MonoCut], manifest: Path
) -> None:
    arrays = [{VALUES: icefall.stored_indexes(carrying[cut.id], manifest)[0]} for cut in shard.cuts]
    write_array_shard(shard.path, shard.request, shard.cuts, arrays)
    monitor.advance(shard.size)


def _check_same(cut: MonoCut, carrying: Mapping[str, MonoCut], request: ImportRequest) -> None:
    """Raise AsrkdError if the manifest lacks a cut, or has it with another duration."""
    namesake = carrying.get(cut.id)
    if namesake is None:
        raise AsrkdError(f"{request.cuts}: cut {cut.id} is missing in {request.manifest}")
    if abs(namesake.duration - cut.duration) > 1 / cut.sampling_rate:
        raise AsrkdError(
            f"{request.cuts}: cut {cut.id} has {cut.duration:g} s, the one in {request.manifest} "
            f"{namesake.duration:g} s: other audio of the same id"
        )


def _check_format(name: str) -> None:
    if name not in FORMATS:
        raise AsrkdError(f"--format {name}: expected {', '.join(FORMATS)}")
