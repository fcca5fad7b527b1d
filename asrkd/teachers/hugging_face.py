"""wav2vec 2.0, HuBERT, WavLM and Whisper encoders of Hugging Face's transformers, from a local folder.

``config.json`` and ``model.safetensors``, as ``save_pretrained`` writes them;
``preprocessor_config.json`` where there is one. Nothing is ever fetched.
"""

import os
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from asrkd.core import files
from asrkd.core.artifacts import MODEL_CONFIG, WEIGHTS
from asrkd.core.errors import AsrkdError
from asrkd.core.installed import pip_install
from asrkd.core.shell import command
from asrkd.models.frame_timing import convolution_rule, hop, span
from asrkd.teachers.audio import AudioInput
from asrkd.teachers.waveform import WaveformEncoder, pad

PREPROCESSOR = "preprocessor_config.json"
VARIANCE_EPSILON = 1e-7  # of Wav2Vec2FeatureExtractor, by which transformers normalizes audio

_CLASSES = {
    "wav2vec2": "Wav2Vec2Model",
    "hubert": "HubertModel",
    "wavlm": "WavLMModel",
    "whisper": "WhisperModel",
}


def load_hugging_face(folder: Path) -> WaveformEncoder:
    """The encoder in a folder, on the CPU.

    Raises:
        AsrkdError: it is of a family that is not known here, its weights are
            missing or do not fit, or transformers is not installed.
    """
    described = files.read_json(folder / MODEL_CONFIG)
    family = described["model_type"]
    if family not in _CLASSES:
        raise AsrkdError(
            f"{folder / MODEL_CONFIG}: model_type {family!r}: expected one of {', '.join(_CLASSES)}"
        )
    if not (folder / WEIGHTS).is_file():
        convert = command("asrkd", "distill", "convert", folder / "pytorch_model.bin", "--out", folder)
        raise AsrkdError(f"{folder}: no {WEIGHTS} in it; make it with: {convert}")
    preprocessor = files.read_json(folder / PREPROCESSOR) if (folder / PREPROCESSOR).is_file() else {}
    model = _load(folder, family)
    identity = {
        "family": f"transformers {family}",
        "weights_sha256": files.sha256(folder / WEIGHTS),
        "config_sha256": files.sha256_of([_settings(described), _settings(preprocessor)]),
    }
    if family == "whisper":
        from asrkd.teachers.whisper import whisper_encoder

        return whisper_encoder(folder, model, preprocessor, identity)
    return _wav2vec2_encoder(model, preprocessor, identity)


def _settings(described: dict[str, Any]) -> dict[str, Any]:
    """What decides the numbers: not where a model was once loaded from, nor by which version it was saved."""
    return {
        name: value
        for name, value in described.items()
        if not name.startswith("_") and name != "transformers_version"
    }


def transformers(name: str, reader: Path) -> Any:
    """Something of the library called ``name``.

    Raises:
        AsrkdError: it is not installed, or broken; ``reader`` is what needs it.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when it is first imported
    try:
        return getattr(import_module("transformers"), name)
    except (ImportError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:150]
        raise AsrkdError(
            f"{reader}: needs the package transformers ({reason}); install it with: "
            f"{pip_install('transformers')}"
        ) from None


def versions() -> dict[str, str]:
    """Of the library, as contracts have it."""
    return {"transformers": import_module("transformers").__version__}


def _load(folder: Path, family: str) -> nn.Module:
    """The model, in evaluation mode, every weight of its encoder from the file."""
    kind = transformers(_CLASSES[family], folder)
    try:
        model, found = kind.from_pretrained(
            str(folder),
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            attn_implementation="eager",  # the one that all families and versions have
            torch_dtype=torch.float32,
        )
    except Exception as error:  # whatever the library comes upon
        reason = " ".join(str(error).split())[:200]
        raise AsrkdError(f"{folder}: transformers cannot load it: {reason}") from None
    needed = "encoder." if family == "whisper" else ""
    missing = [
        name for name in found["missing_keys"] if name.startswith(needed) and "masked_spec" not in name
    ]
    wrong = sorted(missing) + sorted(str(item[0]) for item in found["mismatched_keys"])
    if wrong:
        raise AsrkdError(
            f"{folder / WEIGHTS}: lacks {len(wrong)} weights of its config.json, or has other shapes, "
            f"the first {wrong[0]}; is it of another model?"
        )
    whole: nn.Module = model.eval().requires_grad_(False)
    return whole


def _wav2vec2_encoder(model: Any, preprocessor: dict[str, Any], identity: dict[str, Any]) -> WaveformEncoder:
    settings = model.config
    convolutions = list(zip(settings.conv_kernel, settings.conv_stride, strict=True))
    rate, sees = int(preprocessor.get("sampling_rate", 16000)), span(convolutions)
    epsilon = VARIANCE_EPSILON if preprocessor.get("do_normalize", True) else None
    return WaveformEncoder(
        model=model,
        stack=model.encoder,
        run=partial(_run, model),
        dim=int(settings.hidden_size),
        ends_in_norm=not settings.do_stable_layer_norm,
        batched=settings.feat_extract_norm == "layer",  # a group norm takes statistics over padding too
        audio=AudioInput(rate, epsilon, sees, None),
        frame_shift=hop(convolutions) / rate,
        first_frame=sees / 2 / rate,
        length_rule=convolution_rule(convolutions, rate),
        identity=identity,
        versions=versions(),
    )


def _run(model: Callable[..., object], utterances: Sequence[Tensor]) -> object:
    samples, counts = pad(utterances)
    if counts is None:
        return model(samples)
    mask = torch.arange(samples.shape[1], device=samples.device) < counts[:, None]
    return model(samples, attention_mask=mask.long())
