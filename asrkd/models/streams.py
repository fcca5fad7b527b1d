"""Decoding as a stream does: the chunks of a streaming encoder, and features with silence behind.

A stream is decoded in steps of T feature frames, and a step needs T + 1 of them
(sherpa-onnx, ``online-recognizer``): with exactly T frames of silence behind,
every frame of speech is decoded, and nothing depends on the length of the rest.
The encoder runs on the whole with the chunks' mask, which gives what steps do
(tests/models/test_streaming.py), and in steps on what is longer than two minutes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeGuard

import numpy as np
import torch
from lhotse import MonoCut
from torch import Tensor, nn

from asrkd.core.errors import AsrkdError
from asrkd.data.corpora.recordings import samples_of
from asrkd.data.features.fbank import make_extractor
from asrkd.data.features.reading import FeatureConfig
from asrkd.models.conformer import Conformer
from asrkd.models.masks import Chunks
from asrkd.models.recognizer import LoadedModel

_extractor = lru_cache(make_extractor)  # its filters take longer than a cut's features


def is_streaming(encoder: nn.Module) -> TypeGuard[Conformer]:
    """Whether an encoder attends in chunks, so that it can run on streams."""
    return isinstance(encoder, Conformer) and encoder.config.chunk_frames is not None


def stream_chunks(model: LoadedModel, chunk_frames: int | None, left_chunks: int | None) -> Chunks:
    """Return the chunks of a streaming model's streams; None leaves those of its config.

    Raises:
        AsrkdError: the model does not stream, or a number is out of range.
    """
    encoder = model.recognizer.encoder
    if not is_streaming(encoder):
        raise AsrkdError(
            f"{model.path}: no streaming model, so --chunk-frames and --left-chunks have no effect; remove "
            "them, or train with causal: true, chunk_frames and left_chunks"
        )
    frames = (encoder.config.chunk_frames or 1) if chunk_frames is None else chunk_frames
    left = encoder.config.left_chunks if left_chunks is None else left_chunks
    if frames < 1:
        raise AsrkdError(f"--chunk-frames {frames}: expected 1 or more")
    if left is not None and left < 0:
        raise AsrkdError(f"--left-chunks {left}: expected 0 or more")
    return Chunks(frames, left)


@contextmanager
def with_chunks(model: LoadedModel, chunks: Chunks) -> Iterator[Conformer]:
    """Let a streaming model's encoder have other chunks within the block; loaded models are shared."""
    encoder = model.recognizer.encoder
    assert isinstance(encoder, Conformer)
    before, encoder.chunks = encoder.chunks, chunks
    try:
        yield encoder
    finally:
        encoder.chunks = before


def audio_features(cut: MonoCut, features: FeatureConfig, silence: int = 0) -> Tensor:
    """Compute the (T, F) features of a cut's audio, with samples of ``silence`` behind.

    They are those that are stored, but for the compression of storage, and those of sherpa-onnx.

    Raises:
        AsrkdError: the audio cannot be read.
    """
    samples, rate = samples_of(cut), features.sampling_rate
    audio = np.concatenate([samples, np.zeros(silence, dtype=np.float32)])
    return torch.from_numpy(_extractor(features.num_features, rate).extract(audio, rate))


def stream_features(cut: MonoCut, features: FeatureConfig, step: int) -> Tensor:
    """Compute the features of a cut's audio that a stream decodes.

    Args:
        cut: the cut.
        features: features of the model, asrkd's log-mel energies.
        step: T, feature frames of a step; as many of silence are appended to the audio.

    Returns:
        (T', F) features, T' a multiple of T.

    Raises:
        AsrkdError: the audio cannot be read.
    """
    frames = audio_features(cut, features, round(step * features.frame_shift * features.sampling_rate))
    return frames[: (len(frames) - 1) // step * step]
