"""Model folders: config, tokens and weights, which are all that decoding needs, and no pickle."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from asrkd.core import config, files
from asrkd.core.artifacts import MODEL_CONFIG, RUN_RECORD, STAMP, WEIGHTS
from asrkd.core.command_record import read_command
from asrkd.core.errors import AsrkdError, error_text
from asrkd.core.shell import command, make_again
from asrkd.data.tokens import Tokens
from asrkd.models.config import (
    AnyArchitecture,
    Architecture,
    EncoderDecoderArchitecture,
    LanguageModelArchitecture,
)
from asrkd.models.recognizer import LanguageModel, LoadedModel, Recognizer, build_model

VERSION = 2  # of the layers that weights of a name belong to; 1 had ReLU in the front end


@dataclass(frozen=True)
class LoadedLanguageModel:
    """Language model loaded from a model folder, in evaluation mode."""

    path: Path
    model: LanguageModel
    tokens: Tokens
    weights_sha256: str


def save_model(
    out: Path,
    architecture: AnyArchitecture,
    weights: dict[str, Tensor],
    tokens: Tokens,
    experiment: dict[str, Any],
) -> None:
    """Write a model folder, the weights last.

    Args:
        out: folder; its other files stay.
        architecture: architecture of the model.
        weights: state dict, tensors of any shape (...), on any device.
        tokens: token inventory.
        experiment: resolved config of its training.
    """
    tokens.save(out)
    described = {
        "version": VERSION,
        "architecture": architecture.model_dump(mode="json"),
        "tokens": tokens.identity(),
        "experiment": experiment,
    }
    files.write_json(out / MODEL_CONFIG, described)
    with files.create_aside(out / WEIGHTS) as partial:
        save_file({name: value.cpu().contiguous() for name, value in weights.items()}, str(partial))


def load_model(path: Path, device: str = "cpu") -> LoadedModel:
    """Load a recognizer from a model folder; it is cached until its weights change.

    Raises:
        AsrkdError: the folder is missing, unfinished or corrupt, holds a
            language model, or its files do not fit together.
    """
    loaded = load_any_model(path, device)
    if not isinstance(loaded, LoadedModel):
        raise AsrkdError(f"{path}: a language model, expected a recognizer; give it as --lm")
    return loaded


def load_language_model(path: Path, device: str = "cpu") -> LoadedLanguageModel:
    """Load a language model, as :func:`load_model`; AsrkdError if it is a recognizer."""
    loaded = load_any_model(path, device)
    if not isinstance(loaded, LoadedLanguageModel):
        raise AsrkdError(f"{path}: a recognizer, expected a language model; train one on text")
    return loaded


def load_any_model(path: Path, device: str = "cpu") -> LoadedModel | LoadedLanguageModel:
    """Load a recognizer or a language model, whichever the folder holds; see :func:`load_model`.

    Raises:
        AsrkdError: the folder is missing, unfinished or corrupt, or its files do not fit together.
    """
    return _load(path, device, _modified_ns(path))


def finish_command(path: Path) -> str:
    """Return the command that resumes the training of the model in ``path``."""
    return f"{read_command(path) or _train_command(path)} --resume"


def _train_command(path: Path) -> str:
    return command("asrkd", "train", "CONFIG", "--out", path)


def is_restored(path: Path) -> bool:
    """Return whether the folder was restored from a run record, so that it is complete without weights."""
    return (path / RUN_RECORD).is_file() and (path / STAMP).is_file() and not (path / WEIGHTS).is_file()


def train_again_command(path: Path) -> str:
    """Return the remedy that replaces a restored folder by a trained one: it removes it, and trains."""
    return make_again(path, read_command(path) or _train_command(path))


def require_weights(path: Path) -> None:
    """Raise AsrkdError unless ``path`` is a folder with weights of a model."""
    if not path.is_dir():
        raise AsrkdError(f"{path}: no such model folder; train one with: {_train_command(path)}")
    if is_restored(path):
        raise AsrkdError(f"{path}: restored from a record, without weights; {train_again_command(path)}")
    if not (path / WEIGHTS).is_file():
        raise AsrkdError(f"{path}: no {WEIGHTS} in it; finish it with: {finish_command(path)}")


def _modified_ns(path: Path) -> int:
    """Return when the weights in a folder were written; AsrkdError if there are none."""
    require_weights(path)
    return (path / WEIGHTS).stat().st_mtime_ns


@lru_cache(maxsize=6)  # a recognizer or two beside language models, or the folds of a teacher
def _load(path: Path, device: str, _modified: int) -> LoadedModel | LoadedLanguageModel:
    """Load a model folder onto ``device``; ``_modified`` is a key of the cache alone."""
    architecture, tokens = read_architecture(path), Tokens.load(path)
    if tokens.identity() != files.read_json(path / MODEL_CONFIG).get("tokens"):
        raise AsrkdError(f"{path}: its tokens are not those of the model's training")
    model = build_model(architecture)
    str(path).encode()  # safetensors and JSON accept Unicode names alone
    try:
        model.load_state_dict(load_file(str(path / WEIGHTS)))
    except (SafetensorError, RuntimeError) as error:
        raise AsrkdError(
            f"{path / WEIGHTS}: corrupt, or of another architecture ({error_text(error)})"
        ) from None
    model.to(torch.device(device)).eval().requires_grad_(False)
    weights_sha256 = files.sha256(path / WEIGHTS)
    if isinstance(model, Recognizer):
        return LoadedModel(path, model, tokens, weights_sha256)
    return LoadedLanguageModel(path, model, tokens, weights_sha256)


def read_architecture(path: Path) -> AnyArchitecture:
    """Read the architecture of a model folder; AsrkdError if it is missing, of an unknown kind or older."""
    described = files.read_json(path / MODEL_CONFIG)
    if not isinstance(described, dict) or not isinstance(described.get("architecture"), dict):
        raise AsrkdError(f"{path / MODEL_CONFIG}: not the config of an asrkd model")
    if described.get("version") != VERSION:
        again = make_again(path, read_command(path) or _train_command(path), "the model")
        raise AsrkdError(f"{path}: made by an asrkd whose models had other layers; {again}")
    kind = described["architecture"].get("kind")
    section = _KINDS.get(kind)
    if section is None:
        raise AsrkdError(
            f"{path / MODEL_CONFIG}: a model of kind {kind!r}; expected one of {', '.join(map(str, _KINDS))}"
        )
    return config.parse(section, described["architecture"], str(path / MODEL_CONFIG))


_KINDS: dict[object, type[AnyArchitecture]] = {
    "conformer-ctc": Architecture,
    "encoder-decoder": EncoderDecoderArchitecture,
    "transformer-lm": LanguageModelArchitecture,
}
