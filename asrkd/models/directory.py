"""Model folders: everything that `score` and `distill` need, and nothing pickled."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from asrkd import config, files
from asrkd.errors import AsrkdError
from asrkd.models.config import Architecture
from asrkd.models.recogniser import Recogniser
from asrkd.tokens import Tokens

WEIGHTS, CONFIG = "model.safetensors", "config.json"


@dataclass(frozen=True)
class LoadedModel:
    """A recogniser from disk, in evaluation mode."""

    path: Path
    recogniser: Recogniser
    tokens: Tokens
    weights_sha256: str

    @property
    def architecture(self) -> Architecture:
        """Its sizes, its features, its number of tokens."""
        return self.recogniser.architecture


def save_model(
    out: Path,
    architecture: Architecture,
    weights: dict[str, Tensor],
    tokens: Tokens,
    experiment: dict[str, Any],
) -> None:
    """Write a model folder; the weights come last.

    Args:
        out: the folder; other things in it stay.
        architecture: to build the recogniser again.
        weights: its state, by name.
        tokens: its inventory.
        experiment: the resolved config that it was trained with.
    """
    tokens.save(out)
    described = {
        "architecture": architecture.model_dump(mode="json"),
        "tokens": tokens.identity(),
        "experiment": experiment,
    }
    files.write_json(out / CONFIG, described)
    with files.create_aside(out / WEIGHTS) as partial:
        save_file({name: value.cpu().contiguous() for name, value in weights.items()}, str(partial))


def load_model(path: Path, device: str = "cpu") -> LoadedModel:
    """Read a model folder; kept in memory until its weights change.

    Raises:
        AsrkdError: it is missing, unfinished, torn, or its parts do not fit together.
    """
    if not path.is_dir():
        raise AsrkdError(f"{path}: no such model folder; train one with: asrkd train CONFIG --out {path}")
    if not (path / WEIGHTS).is_file():
        mend = f"asrkd train CONFIG --out {path} --resume"
        raise AsrkdError(f"{path}: no {WEIGHTS} in it; finish it with: {mend}")
    return _load(path, device, (path / WEIGHTS).stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _load(path: Path, device: str, _modified_ns: int) -> LoadedModel:
    described = files.read_json(path / CONFIG)
    if not isinstance(described, dict) or "architecture" not in described:
        raise AsrkdError(f"{path / CONFIG}: not the config of an asrkd model")
    architecture = config.parse(Architecture, described["architecture"], str(path / CONFIG))
    tokens = Tokens.load(path)
    if tokens.identity() != described.get("tokens"):
        raise AsrkdError(f"{path}: its tokens are not those that the model was trained with")
    recogniser = Recogniser(architecture)
    try:
        recogniser.load_state_dict(load_file(str(path / WEIGHTS)))
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise AsrkdError(f"{path / WEIGHTS}: broken or of another architecture ({reason})") from None
    recogniser.to(torch.device(device)).eval().requires_grad_(False)
    return LoadedModel(path, recogniser, tokens, files.sha256(path / WEIGHTS))
