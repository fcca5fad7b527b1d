"""Whisper's encoder: its own log-mel features, and a window of 30 s whatever the utterance's length.

Shorter audio is padded with zeros to the window, as in Whisper's training.
Only the frames centered on audio are kept: frame k is centered on sample
320 k, so S samples have ceil(S / 320) frames. Audio longer than the window is
refused: the encoder sees a window only, and would encode parts without their
context.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from asrkd.core.errors import AsrkdError
from asrkd.models.frame_timing import center_rule
from asrkd.teachers.audio import AudioInput, WaveformEncoder
from asrkd.teachers.transformers_library import PREPROCESSOR, transformers, versions

SUBSAMPLING = 2  # the stride of its second convolution


def whisper_encoder(
    folder: Path, model: Any, preprocessor: dict[str, Any], identity: dict[str, Any]
) -> WaveformEncoder:
    """Describe the encoder of a loaded model.

    Args:
        folder: model folder.
        model: transformers' ``WhisperModel``.
        preprocessor: contents of ``preprocessor_config.json``; empty if there is none.
        identity: family and hashes.

    Raises:
        AsrkdError: the preprocessor's window is not the encoder's.
    """
    front_end = _front_end(folder, model, preprocessor)
    rate, step = int(front_end.sampling_rate), int(front_end.hop_length) * SUBSAMPLING
    window = int(model.config.max_source_positions) * step
    if front_end.n_samples != window or front_end.feature_size != model.config.num_mel_bins:
        raise AsrkdError(
            f"{folder / PREPROCESSOR}: computes {front_end.feature_size} mel bands of {front_end.n_samples} "
            f"samples, the encoder reads {model.config.num_mel_bins} of {window}; are they of one model?"
        )
    return WaveformEncoder(
        model=model.encoder,
        stack=model.encoder,
        run=partial(_run, model.encoder, front_end),
        dim=int(model.config.d_model),
        ends_in_norm=False,
        batched=True,  # every utterance fills its own window
        audio=AudioInput(rate, None, 1, window),
        frame_shift=step / rate,
        first_frame=0.0,
        length_rule=center_rule(step, rate),
        identity=identity,
        versions=versions(),
    )


def _front_end(folder: Path, model: Any, preprocessor: dict[str, Any]) -> Any:
    """Build transformers' feature extractor, from ``preprocessor`` if there is one."""
    extractor_class = transformers("WhisperFeatureExtractor", folder)
    if preprocessor:
        return extractor_class.from_pretrained(str(folder), local_files_only=True)
    seconds = model.config.max_source_positions * SUBSAMPLING * 160 // 16000
    return extractor_class(feature_size=model.config.num_mel_bins, chunk_length=seconds)


def _run(encoder: Any, front_end: Any, utterances: Sequence[Tensor]) -> object:
    """Encode utterances of (S,) samples each, a window each."""
    samples = [utterance.cpu().numpy() for utterance in utterances]
    features = front_end(samples, sampling_rate=front_end.sampling_rate, return_tensors="pt").input_features
    return encoder(features.to(utterances[0].device))
