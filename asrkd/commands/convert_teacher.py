"""Command ``distill convert``: convert a pickled state into a teacher model folder.

Reads:   the tensors of a file of ``torch.save``, without unpickling.
Writes:  ``model.safetensors``, and ``config.json`` for a bundle of torchaudio.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from asrkd.core import files
from asrkd.core.artifacts import MODEL_CONFIG, WEIGHTS
from asrkd.core.errors import AsrkdError
from asrkd.core.torch_pickle import convert_state, read_state
from asrkd.teachers.torchaudio_bundles import describe_bundle


def convert(state: Path, out: Path, bundle: str | None = None) -> str:
    """Convert ``state`` into a model folder.

    Args:
        state: file of ``torch.save``.
        out: the folder; its other files stay.
        bundle: torchaudio's name of the model, to write its configuration too.

    Returns:
        One line: the file of weights.

    Raises:
        AsrkdError: the state does not hold tensors only, there is no such bundle,
            or ``out`` holds another model.
    """
    config = None if bundle is None else describe_bundle(bundle)[1]
    weights = out / WEIGHTS
    if weights.is_file():
        _check_same(state, weights)
    else:
        convert_state(state, weights)
    if config is not None:
        _write_config(out / MODEL_CONFIG, config)
    left = "" if (out / MODEL_CONFIG).is_file() else f"; put its {MODEL_CONFIG} beside it"
    return f"{weights}: {len(load_file(str(weights)))} tensors{left}"


def _check_same(state: Path, weights: Path) -> None:
    tensors, stored = read_state(state), load_file(str(weights))
    same = tensors.keys() == stored.keys() and all(
        torch.equal(tensors[name], stored[name]) for name in stored
    )
    if not same:
        raise AsrkdError(f"{weights}: holds another model than {state}; give another --out")


def _write_config(path: Path, config: dict[str, Any]) -> None:
    if path.is_file() and files.read_json(path) != config:
        raise AsrkdError(f"{path}: describes another model; give another --out, or remove --bundle")
    files.write_json(path, config)
