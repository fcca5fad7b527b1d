"""Hugging Face's transformers as an optional package: imported when first needed, and never online.

Its vocabulary is used throughout: a *model folder* holds ``config.json``,
``model.safetensors`` and, for most encoders of audio, ``preprocessor_config.json``.
"""

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from asrkd.core import files
from asrkd.core.artifacts import WEIGHTS
from asrkd.core.errors import AsrkdError, error_text
from asrkd.core.installed import pip_install

PREPROCESSOR = "preprocessor_config.json"


def transformers(name: str, reader: Path) -> Any:
    """Return the attribute ``name`` of the package, such as a model class.

    Args:
        name: name of the attribute.
        reader: model folder that needs it, for the message.

    Raises:
        AsrkdError: transformers is not installed, is broken, or lacks ``name``.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when it is first imported
    try:
        return getattr(import_module("transformers"), name)
    except (ImportError, AttributeError, RuntimeError) as error:
        raise AsrkdError(
            f"{reader}: needs the package transformers ({error_text(error, 150)}); install it with: "
            f"{pip_install('transformers')}"
        ) from None


def versions() -> dict[str, str]:
    """Return the version of transformers, as contracts record it."""
    return {"transformers": import_module("transformers").__version__}


def read_preprocessor(folder: Path) -> dict[str, Any]:
    """Read a model folder's ``preprocessor_config.json``; empty where there is none."""
    path = folder / PREPROCESSOR
    settings: dict[str, Any] = files.read_json(path) if path.is_file() else {}
    return settings


def load_pretrained(class_name: str, folder: Path, needed_prefix: str = "") -> nn.Module:
    """Load a model in evaluation mode, in float32, on the CPU.

    Args:
        class_name: class of transformers, such as ``Wav2Vec2Model``.
        folder: model folder.
        needed_prefix: weights whose names start with it must all be in the file.

    Raises:
        AsrkdError: transformers is missing or cannot load the folder, or a
            needed weight is missing or has another shape.
    """
    model_class = transformers(class_name, folder)
    try:
        model, report = model_class.from_pretrained(
            str(folder),
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            attn_implementation="eager",  # the implementation that all families and versions have
            torch_dtype=torch.float32,
        )
    except Exception as error:  # transformers raises many kinds
        raise AsrkdError(f"{folder}: transformers cannot load it: {error_text(error, 200)}") from None
    missing = [
        name
        for name in report["missing_keys"]
        if name.startswith(needed_prefix) and "masked_spec" not in name
    ]
    wrong = sorted(missing) + sorted(str(mismatch[0]) for mismatch in report["mismatched_keys"])
    if wrong:
        raise AsrkdError(
            f"{folder / WEIGHTS}: lacks {len(wrong)} weights of its config.json, or has other shapes, "
            f"the first {wrong[0]}; is it of another model?"
        )
    whole: nn.Module = model.eval().requires_grad_(False)
    return whole
