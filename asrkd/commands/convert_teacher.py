"""Stage ``distill convert``: a pickled state becomes a folder that can be given as a teacher.

Reads:   a state file of ``torch.save``; its tensors only, nothing in it is run.
Writes:  ``model.safetensors``, and for a bundle of torchaudio ``config.json``.
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
    """Convert ``state`` into the folder ``out``; a line about it.

    Args:
        state: of ``torch.save``.
        out: the folder; other things in it stay.
        bundle: torchaudio's name of the model, whose configuration is written too.

    Raises:
        AsrkdError: the state holds something else than tensors, there is no
            such bundle, or ``out`` holds another model.
    """
    described = None if bundle is None else describe_bundle(bundle)[1]
    weights = out / WEIGHTS
    if weights.is_file():
        _check_same(state, weights)
    else:
        convert_state(state, weights)
    if described is not None:
        _write_config(out / MODEL_CONFIG, described)
    left = "" if (out / MODEL_CONFIG).is_file() else f"; {MODEL_CONFIG} is to be put beside it"
    return f"{weights}: {len(load_file(str(weights)))} tensors{left}"


def _check_same(state: Path, weights: Path) -> None:
    theirs, ours = read_state(state), load_file(str(weights))
    same = theirs.keys() == ours.keys() and all(torch.equal(theirs[name], ours[name]) for name in ours)
    if not same:
        raise AsrkdError(f"{weights}: holds another model than {state}; give another --out")


def _write_config(path: Path, described: dict[str, Any]) -> None:
    if path.is_file() and files.read_json(path) != described:
        raise AsrkdError(f"{path}: describes another model; give another --out, or leave out --bundle")
    files.write_json(path, described)
