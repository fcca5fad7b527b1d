"""Opening a teacher by what it was called on the command line; its family is told by what lies there."""

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import torch

from asrkd.core import files
from asrkd.core.artifacts import MODEL_CONFIG, WEIGHTS
from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command
from asrkd.models.directory import load_model
from asrkd.teachers.asrkd_model import AsrkdTeacher
from asrkd.teachers.teacher import Teacher
from asrkd.teachers.torchaudio_bundles import bundle_files, is_bundle
from asrkd.teachers.waveform import WaveformEncoder, WaveformTeacher


def open_teacher(spec: Path | str, device: str = "cpu", *, resample: bool = False) -> Teacher:
    """The teacher called ``spec``; kept in memory until its weights change.

    Args:
        spec: a model folder of ``asrkd train``; a folder of Hugging Face's
            transformers; a folder or a safetensors file of a torchaudio model
            (:mod:`asrkd.teachers.torchaudio_model`); ``torchaudio:NAME``.
        device: 'cpu', 'cuda', 'cuda:0', ...
        resample: of one that reads audio, take other sampling rates as well.

    Raises:
        AsrkdError: it is missing, unfinished, torn, or its parts do not fit together.
    """
    loader = _loader(spec)
    if loader is not None:
        return WaveformTeacher(str(spec), _encoder(str(spec), device, *loader), resample=resample)
    if resample:
        raise AsrkdError(f"--resample: {spec} reads stored features, not audio; leave it out")
    return AsrkdTeacher(load_model(Path(spec), device))


def _loader(spec: Path | str) -> tuple[Path, Path] | None:
    """(weights, description) of an encoder of audio; None for anything that is to be a model of asrkd."""
    if is_bundle(spec):
        return bundle_files(str(spec))
    path = Path(spec)
    if path.suffix in (".pt", ".pth", ".bin", ".ckpt") and not path.is_dir():
        convert = command("asrkd", "distill", "convert", path, "--out", "DIR")
        raise AsrkdError(
            f"{path}: a pickle, which could run anything and is not loaded; take its tensors out with: "
            f"{convert}, and give --teacher DIR"
        )
    if path.suffix == ".safetensors" and not path.is_dir():
        return path, path.with_suffix(".json")
    described = files.read_json(path / MODEL_CONFIG) if (path / MODEL_CONFIG).is_file() else None
    if isinstance(described, dict) and "architecture" not in described:
        if {"model_type", "function"} & described.keys():
            return path / WEIGHTS, path / MODEL_CONFIG
        raise AsrkdError(
            f"{path / MODEL_CONFIG}: of no family that is known: expected asrkd's own ('architecture'), "
            "Hugging Face's ('model_type') or torchaudio's ('function' and 'arguments')"
        )
    return None


def _encoder(spec: str, device: str, weights: Path, described: Path) -> WaveformEncoder:
    changed = tuple(path.stat().st_mtime_ns if path.is_file() else 0 for path in (weights, described))
    return _load(spec, device, weights, described, changed)


@lru_cache(maxsize=2)
def _load(
    spec: str, device: str, weights: Path, described: Path, _changed: tuple[int, ...]
) -> WaveformEncoder:
    load: Callable[[], WaveformEncoder]
    if described.name == MODEL_CONFIG and "model_type" in files.read_json(described):
        from asrkd.teachers.hugging_face import load_hugging_face

        load = partial(load_hugging_face, described.parent)
    else:
        from asrkd.teachers.torchaudio_model import load_torchaudio

        load = partial(load_torchaudio, weights, described)
    encoder = load()
    encoder.model.to(torch.device(device))
    return encoder
