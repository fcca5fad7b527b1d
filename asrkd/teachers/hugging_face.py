"""wav2vec 2.0, HuBERT, WavLM and Whisper encoders of Hugging Face's transformers, from a local folder.

The folder holds ``config.json`` and ``model.safetensors``, as
``save_pretrained`` writes them, and ``preprocessor_config.json`` where there
is one. Nothing is ever downloaded.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from asrkd.core import files
from asrkd.core.artifacts import MODEL_CONFIG, WEIGHTS
from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command
from asrkd.models.frame_timing import convolution_rule, hop, span
from asrkd.models.masks import frame_mask
from asrkd.teachers.audio import AudioInput, WaveformEncoder, pad
from asrkd.teachers.transformers_library import load_pretrained, read_preprocessor, versions
from asrkd.teachers.whisper import whisper_encoder

VARIANCE_EPSILON = 1e-7  # epsilon of Wav2Vec2FeatureExtractor, by which transformers normalizes audio

_CLASSES = {
    "wav2vec2": "Wav2Vec2Model",
    "hubert": "HubertModel",
    "wavlm": "WavLMModel",
    "whisper": "WhisperModel",
}


def load_hugging_face(folder: Path) -> WaveformEncoder:
    """Load the encoder in a model folder, on the CPU.

    Raises:
        AsrkdError: the encoder's family is unknown, its weights are missing or
            do not fit, or transformers is not installed.
    """
    settings = files.read_json(folder / MODEL_CONFIG)
    family = settings["model_type"]
    if family not in _CLASSES:
        raise AsrkdError(
            f"{folder / MODEL_CONFIG}: model_type {family!r}: expected one of {', '.join(_CLASSES)}"
        )
    if not (folder / WEIGHTS).is_file():
        convert = command("asrkd", "distill", "convert", folder / "pytorch_model.bin", "--out", folder)
        raise AsrkdError(f"{folder}: no {WEIGHTS} in it; make it with: {convert}")
    preprocessor = read_preprocessor(folder)
    needed_prefix = "encoder." if family == "whisper" else ""
    model = load_pretrained(_CLASSES[family], folder, needed_prefix)
    identity = {
        "family": f"transformers {family}",
        "weights_sha256": files.sha256(folder / WEIGHTS),
        "config_sha256": files.sha256_of([_numeric_settings(settings), _numeric_settings(preprocessor)]),
    }
    if family == "whisper":
        return whisper_encoder(folder, model, preprocessor, identity)
    return _wav2vec2_encoder(model, preprocessor, identity)


def _numeric_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Drop the settings without effect on the numbers: the original path, and the version that saved it."""
    return {
        name: value
        for name, value in settings.items()
        if not name.startswith("_") and name != "transformers_version"
    }


def _wav2vec2_encoder(model: Any, preprocessor: dict[str, Any], identity: dict[str, Any]) -> WaveformEncoder:
    """Describe a loaded wav2vec 2.0, HuBERT or WavLM, which share one structure."""
    settings = model.config
    convolutions = list(zip(settings.conv_kernel, settings.conv_stride, strict=True))
    rate, frame_span = int(preprocessor.get("sampling_rate", 16000)), span(convolutions)
    epsilon = VARIANCE_EPSILON if preprocessor.get("do_normalize", True) else None
    return WaveformEncoder(
        model=model,
        stack=model.encoder,
        run=partial(_run, model),
        dim=int(settings.hidden_size),
        ends_in_norm=not settings.do_stable_layer_norm,
        batched=settings.feat_extract_norm == "layer",  # a group norm takes statistics over padding too
        audio=AudioInput(rate, epsilon, frame_span, None),
        frame_shift=hop(convolutions) / rate,
        first_frame=frame_span / 2 / rate,
        length_rule=convolution_rule(convolutions, rate),
        identity=identity,
        versions=versions(),
    )


def _run(model: Callable[..., object], utterances: Sequence[Tensor]) -> object:
    """Encode utterances of (S,) samples each, padded together."""
    samples, counts = pad(utterances)
    if counts is None:
        return model(samples)
    return model(samples, attention_mask=frame_mask(counts, samples.shape[1]).long())
