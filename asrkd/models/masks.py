"""Masks of padding, and of attention in chunks.

Notation: N utterances, T frames after padding, C channels, F features.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Chunks(NamedTuple):
    """Chunks of attention in streaming: frames of one, and how many before it are in reach."""

    frames: int | None  # None: no chunks, all frames are in reach
    left: int | None  # None: all chunks before

    @property
    def left_frames(self) -> int | None:
        """Frames before a chunk that are in reach; None: all."""
        return None if self.frames is None or self.left is None else self.frames * self.left


def frame_mask(num_frames: Tensor, max_frames: int) -> Tensor:
    """Return True at the real frames of each utterance, False at padding.

    Args:
        num_frames: (N,) integer counts, each at most ``max_frames``.
        max_frames: T, the padded length.

    Returns:
        Mask (N, T), boolean.
    """
    return torch.arange(max_frames, device=num_frames.device) < num_frames[:, None]


def zero_padding(frames: Tensor, mask: Tensor) -> Tensor:
    """Replace padding by 0, even where it is NaN.

    Args:
        frames: (N, T, ...) values of any rank from 2 up.
        mask: (N, T) boolean, True at real frames.

    Returns:
        Values of the shape of ``frames``.
    """
    return frames.masked_fill(~mask.view(*mask.shape, *[1] * (frames.dim() - 2)), 0.0)


def zero_padding_of_channels(frames: Tensor, num_frames: Tensor) -> Tensor:
    """Replace padding of (N, C, T, F) frames by 0, before a convolution; ``num_frames`` (N,) are real."""
    mask = frame_mask(num_frames, frames.shape[2])  # (N, T)
    return frames.masked_fill(~mask[:, None, :, None], 0.0)


def chunk_mask(max_frames: int, chunk_frames: int, left_chunks: int | None) -> Tensor:
    """Return the frames (columns) that each frame (row) may attend to in streaming.

    Frame t belongs to chunk t // chunk_frames. It attends to its whole chunk
    and to ``left_chunks`` chunks before it (None: all of them), to none after it.

    Args:
        max_frames: T, number of frames.
        chunk_frames: frames in a chunk, at least 1.
        left_chunks: earlier chunks in reach.

    Returns:
        (T, T) boolean, True where attention is allowed.
    """
    chunk = torch.arange(max_frames) // chunk_frames
    behind = chunk[:, None] - chunk[None, :]  # chunks from the key to the query
    visible = behind >= 0
    return visible if left_chunks is None else visible & (behind <= left_chunks)
