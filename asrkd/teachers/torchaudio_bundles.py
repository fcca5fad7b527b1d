"""Pretrained bundles of torchaudio by name, as ``torchaudio:HUBERT_BASE``.

A bundle is downloaded once, and kept as safetensors in torch's own cache.
"""

import difflib
import json
from pathlib import Path
from typing import Any

from asrkd.core import files
from asrkd.core.errors import AsrkdError, error_text
from asrkd.core.shell import command

PREFIX = "torchaudio:"
_BASE_URL = "https://download.pytorch.org/torchaudio/models/"


def is_bundle(spec: Path | str) -> bool:
    """Whether a teacher is named as a bundle, not by a path."""
    return str(spec).startswith(PREFIX)


def bundle_files(spec: str) -> tuple[Path, Path]:
    """Return weights and description of a bundle, as :mod:`asrkd.teachers.torchaudio_model` reads them.

    Both lie in torch's own cache (``TORCH_HOME``).

    Raises:
        AsrkdError: torchaudio has no such bundle, or it is not cached and cannot be downloaded.
    """
    import torch

    name = spec.removeprefix(PREFIX)
    url, described = describe_bundle(name)
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    state, weights = cache / url.rsplit("/", 1)[-1], cache / f"asrkd-{name}.safetensors"
    if not weights.is_file():
        from asrkd.core.torch_pickle import convert_state

        if not state.is_file():
            _fetch(url, state, name)
        convert_state(state, weights)
    text = files.json_text(described)
    if not weights.with_suffix(".json").is_file() or files.read_text(weights.with_suffix(".json")) != text:
        files.write_json(weights.with_suffix(".json"), described)
    return weights, weights.with_suffix(".json")


def describe_bundle(name: str) -> tuple[str, dict[str, Any]]:
    """Return (URL of the weights, description of the model) of the bundle ``name``.

    Raises:
        AsrkdError: the installed torchaudio has no bundle of that name.
    """
    from torchaudio import pipelines

    known = {key: value for key, value in vars(pipelines).items() if hasattr(value, "_params")}
    known = {key: value for key, value in known.items() if "extractor_mode" in value._params}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.0)
        raise AsrkdError(
            f"{PREFIX}{name}: this torchaudio has no such model; nearest names: {', '.join(near)}"
        )
    bundle = known[name]
    function = "wavlm_model" if getattr(bundle, "_model_type", "") == "WavLM" else "wav2vec2_model"
    arguments = json.loads(json.dumps(bundle._params))  # tuples become lists, as in a file
    described = {"function": function, "arguments": arguments, "sampling_rate": int(bundle.sample_rate)}
    url = bundle._path if bundle._path.startswith("https://") else _BASE_URL + bundle._path
    return url, described


def _fetch(url: str, state: Path, name: str) -> None:
    """Download a bundle's weights to ``state``."""
    import torch

    state.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(url, str(state), progress=False)
    except OSError as error:  # errors of urllib and of sockets are subclasses
        convert = command("asrkd", "distill", "convert", Path(state.name), "--bundle", name, "--out", "DIR")
        raise AsrkdError(
            f"{PREFIX}{name}: cannot be downloaded ({error_text(error, 100)}); copy {url} here "
            f"from another machine, run: {convert}, and give --teacher DIR"
        ) from None
