"""wav2vec 2.0, HuBERT and WavLM encoders of torchaudio, from weights and factory arguments.

Files are ``DIR/model.safetensors`` and ``DIR/config.json``, or
``NAME.safetensors`` and ``NAME.json`` beside it. The JSON holds::

    {"function": "wav2vec2_model",
     "arguments": {"extractor_mode": "group_norm", ..., "aux_num_out": null}}

and optionally ``"sampling_rate"`` (default 16000) and ``"normalize"``. By
default audio is normalized for encoders whose convolutions have layer norms,
as in their training. (torchaudio 0.13 omits this for its large bundles.)

Departure: an output head (``aux``) is dropped.
"""

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torchaudio
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from asrkd.core import config, files
from asrkd.core.errors import AsrkdError, error_text
from asrkd.models.frame_timing import convolution_rule, hop, span
from asrkd.teachers.audio import AudioInput, WaveformEncoder, pad

LAYER_NORM_EPSILON = 1e-5  # of torch.nn.functional.layer_norm, by which torchaudio normalizes audio


class TorchaudioConfig(config.Section):
    """Description of a torchaudio model: its factory function, arguments and audio format."""

    function: Literal["wav2vec2_model", "wavlm_model"]  # function of torchaudio.models
    arguments: dict[str, Any]  # arguments of the function
    sampling_rate: int = Field(16000, ge=1)  # Hz
    normalize: bool | None = None  # audio to mean 0, variance 1; None: if convolutions have layer norms

    @property
    def epsilon(self) -> float | None:
        """The normalization's epsilon; None without normalization."""
        by_default = self.arguments.get("extractor_mode") == "layer_norm"
        normalize = by_default if self.normalize is None else self.normalize
        return LAYER_NORM_EPSILON if normalize else None


def load_torchaudio(weights: Path, described: Path) -> WaveformEncoder:
    """Load an encoder from two files, on the CPU.

    Args:
        weights: safetensors file.
        described: JSON file of a :class:`TorchaudioConfig`.

    Raises:
        AsrkdError: a file is missing or corrupt, or the files do not fit together.
    """
    for path in (weights, described):
        if not path.is_file():
            raise AsrkdError(
                f"{path}: no such file; a torchaudio teacher is NAME.safetensors with NAME.json, or a folder "
                "of model.safetensors and config.json; make one: asrkd distill convert STATE.pth --out DIR"
            )
    settings = config.parse(TorchaudioConfig, files.read_json(described), str(described))
    model = _build(settings, str(described))
    _fill(model, weights)
    return _encoder(model, settings, files.sha256(weights))


def _build(settings: TorchaudioConfig, where: str) -> nn.Module:
    """Call the model's factory function; ``where`` is the file of ``settings``, for messages."""
    function: Callable[..., nn.Module] | None = getattr(torchaudio.models, settings.function, None)
    if function is None:
        raise AsrkdError(
            f"{where}: torchaudio {version('torchaudio')} has no {settings.function}; use the modern stack "
            "(make setup STACK=modern), or the model as Hugging Face has it"
        )
    try:
        inspect.signature(function).bind(**settings.arguments)
        return function(**settings.arguments | {"aux_num_out": None})
    except (TypeError, ValueError, RuntimeError) as error:
        raise AsrkdError(
            f"{where}: arguments: {error}; expected those of torchaudio.models.{settings.function}"
        ) from None


def _fill(model: nn.Module, weights: Path) -> None:
    """Load the weights, of whichever torch version."""
    try:
        state = load_file(str(weights))
    except (SafetensorError, ValueError, OSError) as error:
        raise AsrkdError(f"{weights}: not safetensors ({error})") from None
    if all(name.startswith("model.") for name in state):  # of torchaudio's wrapper that normalizes input
        state = {name.removeprefix("model."): value for name, value in state.items()}
    state = {name: value for name, value in state.items() if not name.startswith("aux.")}
    try:
        model.load_state_dict(_renamed(state, model))
    except RuntimeError as error:
        raise AsrkdError(f"{weights}: does not fit its configuration: {error_text(error)}") from None
    model.eval().requires_grad_(False)


def _renamed(state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Rename the two factors of each weight-normalized weight as the installed torch names them."""
    expected = model.state_dict().keys()
    names = (
        ("parametrizations.weight.original0", "weight_g"),
        ("parametrizations.weight.original1", "weight_v"),
    )
    for new, old in names:
        for have, want in ((new, old), (old, new)):
            for name in [name for name in state if name.endswith(have) and name not in expected]:
                state[name.removesuffix(have) + want] = state.pop(name)
    return state


def _encoder(model: nn.Module, settings: TorchaudioConfig, weights_sha256: str) -> WaveformEncoder:
    """Describe a loaded model."""
    blocks: Any = model.get_submodule("feature_extractor.conv_layers")
    convolutions = [(block.kernel_size, block.stride) for block in blocks]
    stack = model.get_submodule("encoder.transformer")
    rate, dim = settings.sampling_rate, int(settings.arguments["encoder_embed_dim"])
    frame_span = span(convolutions)
    identity = {
        "family": f"torchaudio {settings.function}",
        "weights_sha256": weights_sha256,
        "config_sha256": files.sha256_of(settings.model_dump(mode="json")),
    }
    return WaveformEncoder(
        model=model,
        stack=stack,
        run=partial(_run, model),
        dim=dim,
        ends_in_norm=not settings.arguments["encoder_layer_norm_first"],
        # A group norm takes statistics over padding too, and torchaudio's WavLM takes no mask.
        batched=settings.arguments["extractor_mode"] == "layer_norm"
        and settings.function == "wav2vec2_model",
        audio=AudioInput(rate, settings.epsilon, frame_span, None),
        frame_shift=hop(convolutions) / rate,
        first_frame=frame_span / 2 / rate,
        length_rule=convolution_rule(convolutions, rate),
        identity=identity,
        versions={"torchaudio": torchaudio.__version__},
    )


def _run(model: Any, utterances: Sequence[Tensor]) -> object:
    """Encode utterances of (S,) samples each, padded together."""
    samples, counts = pad(utterances)
    return model.extract_features(samples, counts)
