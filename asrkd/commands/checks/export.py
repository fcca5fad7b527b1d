"""Check of an export: whole, of today's weights, and recognizing what its model does, frame by frame."""

from collections.abc import Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from lhotse import MonoCut
from torch import Tensor

from asrkd.commands.checks.findings import Findings
from asrkd.core import files, output_folder
from asrkd.core.artifacts import EXPORT_REQUEST, WEIGHTS
from asrkd.core.errors import counted
from asrkd.core.shell import command, remove_folder
from asrkd.data.corpora.recordings import samples_of
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.features.reading import FeatureConfig
from asrkd.decoding import SearchOptions
from asrkd.decoding.recognition import recognize_by_cut
from asrkd.deployment.export import ExportOptions, export_chunks
from asrkd.deployment.exported import ExportedModel
from asrkd.deployment.sherpa import BATCH, SherpaProcess, check_audio
from asrkd.deployment.tokens_file import spelled
from asrkd.models.directory import load_model
from asrkd.models.recognizer import LoadedModel
from asrkd.models.streams import audio_features, stream_features

MAX_CUTS = 200  # recognized by both


class _Emission(NamedTuple):
    """Tokens that were emitted for a cut, a space as a space, and the encoder frames that they were at."""

    tokens: tuple[str, ...]
    frames: tuple[int, ...]


def audit_export(path: Path, cuts: Sequence[Path], findings: Findings) -> None:
    """Check the files of an export against their hashes and its model; with cuts, what both recognize."""
    with findings.collect(path):
        exported = ExportedModel.load(path)
        again = f"{remove_folder(path)} && {command('asrkd', 'export', 'MODEL', '--out', path)}"
        stamp = output_folder.read_stamp(path, again, ["sha256", "model"])
        for name, sha256 in stamp["sha256"].items():
            if not (path / name).is_file() or files.sha256(path / name) != sha256:
                findings.problem(f"{path / name}: missing, or not as it was written; export again: {again}")
        folder = Path(stamp["model"])
        again = again.replace("MODEL", str(folder))
        if not (folder / WEIGHTS).is_file():
            findings.note(f"{path}: its model {folder} is not there, so it is not compared with it")
            return
        model = load_model(folder)
        if model.weights_sha256 != exported.model_sha256:
            findings.problem(f"{path}: of other weights than those in {folder}; export again: {again}")
        elif not cuts:
            findings.note(f"{path}: of the weights in {folder}; --cuts CUTS compares what both recognize")
        elif not findings.lines():
            _compare(exported, model, cuts, findings, again)


def _compare(
    exported: ExportedModel, model: LoadedModel, paths: Sequence[Path], findings: Findings, again: str
) -> None:
    """Recognize the first cuts greedily by sherpa-onnx and by the model, both from audio."""
    cuts = list(islice(chain.from_iterable(map(read_cuts, paths)), MAX_CUTS))
    check_audio(exported, cuts, paths[0])
    shipped, ours = _by_sherpa(exported, cuts), _by_model(exported, model, cuts)
    differing = [cut.id for cut, one, other in zip(cuts, shipped, ours, strict=True) if one != other]
    tokens = sum(len(emission.tokens) for emission in ours)
    compared = f"{counted(len(cuts), 'cut')}, {counted(tokens, 'token')}"
    if any(".int8." in name for name in exported.files.values()):
        findings.note(
            f"{exported.path}: {compared}: {len(differing)} cuts otherwise than {model.path}, as matrices "
            "of 8 bits are not exact; what counts is its WER: asrkd score --runtime sherpa-onnx"
        )
        return
    for name in differing:
        findings.problem(
            f"{exported.path}: recognizes cut {name} otherwise than {model.path}; export again: {again}",
            kind="recognized otherwise",
        )
    if not differing:
        findings.note(f"{exported.path}: {compared}: the same tokens at the same frames as {model.path}")


def _by_sherpa(exported: ExportedModel, cuts: Sequence[MonoCut]) -> list[_Emission]:
    emissions = []
    with SherpaProcess(exported) as process:
        for first in range(0, len(cuts), BATCH):
            audio = [samples_of(cut) for cut in cuts[first : first + BATCH]]
            for result in process.recognize(audio):
                emissions.append(_Emission(tuple(map(spelled, result.tokens)), result.frames))
    return emissions


def _by_model(exported: ExportedModel, model: LoadedModel, cuts: Sequence[MonoCut]) -> list[_Emission]:
    settings = files.read_json(exported.path / EXPORT_REQUEST)["options"]
    search = "transducer-greedy" if exported.kind.endswith("transducer") else "greedy"
    symbols = model.tokens.symbols
    read = partial(_features, features=model.architecture.features, step=exported.tail_frames)
    emissions = []
    with export_chunks(model, ExportOptions(**settings)):
        for _, final in recognize_by_cut(model, cuts, search, SearchOptions(), read):
            for _, (best, *_) in final:
                tokens = tuple(spelled(symbols[token]) for token in best.tokens)
                emissions.append(_Emission(tokens, best.frames or ()))
    return emissions


def _features(cut: MonoCut, features: FeatureConfig, step: int) -> Tensor:
    return stream_features(cut, features, step) if step else audio_features(cut, features)
