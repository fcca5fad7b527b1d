"""Loading of teachers by their names on the command line; the files at that path decide the family."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from asrkd.core import files
from asrkd.core.artifacts import MODEL_CONFIG, WEIGHTS
from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command
from asrkd.teachers.teacher import Teacher, refuse_encoder
from asrkd.teachers.torchaudio_bundles import PREFIX, bundle_files, describe_bundle, is_bundle

if TYPE_CHECKING:
    from asrkd.teachers.audio import WaveformEncoder

# The families are imported by the functions that load them: reading a config imports this module, and must
# need neither torchaudio nor transformers, which take seconds to import and may be absent.


def open_teacher(spec: Path | str, device: str = "cpu", *, resample: bool = False) -> Teacher:
    """Load the teacher named ``spec``; it is kept in memory until its weights change.

    Args:
        spec: a model folder of ``asrkd train``; a model folder of Hugging
            Face's transformers; a folder or a safetensors file of a torchaudio
            model (:mod:`asrkd.teachers.torchaudio_model`); ``torchaudio:NAME``.
        device: 'cpu', 'cuda', 'cuda:0', ...
        resample: whether an encoder of audio accepts other sampling rates too.

    Raises:
        AsrkdError: the teacher is missing, unfinished or corrupt, or its files do not fit together.
    """
    encoder_files = _encoder_files(spec)
    if encoder_files is not None:
        from asrkd.teachers.waveform import WaveformTeacher

        return WaveformTeacher(str(spec), _encoder(str(spec), device, *encoder_files), resample=resample)
    if resample:
        raise AsrkdError(f"--resample: {spec} reads stored features, not audio; remove it")
    from asrkd.models.directory import load_model
    from asrkd.teachers.asrkd_model import AsrkdTeacher

    return AsrkdTeacher(load_model(Path(spec), device))


def check_teacher(spec: Path | str, kind: str) -> None:
    """Check what is known of a teacher without loading or fetching it.

    Args:
        spec: name of the teacher, as in :func:`open_teacher`.
        kind: kind of targets, as a command of ``asrkd distill``.

    Raises:
        AsrkdError: the teacher is missing, or it has no tokens and ``kind`` is of targets over text.
    """
    of_text = kind in ("nbest", "posterior")
    if is_bundle(spec):
        if of_text:
            refuse_encoder(str(spec), kind)
        describe_bundle(str(spec).removeprefix(PREFIX))
        return
    encoder_files = _encoder_files(spec)
    if encoder_files is None:
        from asrkd.models.directory import require_weights

        require_weights(Path(spec))
    elif of_text:
        refuse_encoder(str(spec), kind)
    elif not encoder_files[1].is_file():
        raise AsrkdError(f"{encoder_files[1]}: no such file; it describes the teacher {spec}")


def _encoder_files(spec: Path | str) -> tuple[Path, Path] | None:
    """Return (weights, description) of an encoder of audio; None for a model folder of asrkd."""
    if is_bundle(spec):
        return bundle_files(str(spec))
    path = Path(spec)
    if path.suffix in (".pt", ".pth", ".bin", ".ckpt") and not path.is_dir():
        convert = command("asrkd", "distill", "convert", path, "--out", "DIR")
        raise AsrkdError(
            f"{path}: a pickle, which may run any code, is not loaded; extract its tensors with: {convert}, "
            "then give --teacher DIR"
        )
    if path.suffix == ".safetensors" and not path.is_dir():
        return path, path.with_suffix(".json")
    if not path.exists():
        raise AsrkdError(
            f"{path}: no such model folder; no model is fetched by its name: give a folder that "
            "save_pretrained wrote, or that asrkd train made"
        )
    described = files.read_json(path / MODEL_CONFIG) if (path / MODEL_CONFIG).is_file() else None
    if isinstance(described, dict) and "architecture" not in described:
        if {"model_type", "function"} & described.keys():
            return path / WEIGHTS, path / MODEL_CONFIG
        raise AsrkdError(
            f"{path / MODEL_CONFIG}: unknown model family: expected asrkd's own ('architecture'), "
            "Hugging Face's ('model_type') or torchaudio's ('function' and 'arguments')"
        )
    return None


def _encoder(spec: str, device: str, weights: Path, described: Path) -> "WaveformEncoder":
    modified = tuple(path.stat().st_mtime_ns if path.is_file() else 0 for path in (weights, described))
    return _load(spec, device, weights, described, modified)


@lru_cache(maxsize=2)
def _load(
    spec: str, device: str, weights: Path, described: Path, _modified: tuple[int, ...]
) -> "WaveformEncoder":
    """Load an encoder of audio onto ``device``; ``spec`` and ``_modified`` are keys of the cache alone."""
    if described.name == MODEL_CONFIG and "model_type" in files.read_json(described):
        from asrkd.teachers.hugging_face import load_hugging_face

        encoder = load_hugging_face(described.parent)
    else:
        from asrkd.teachers.torchaudio_model import load_torchaudio

        encoder = load_torchaudio(weights, described)
    encoder.model.to(torch.device(device))
    return encoder
