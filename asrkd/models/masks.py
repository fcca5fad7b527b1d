"""Which frames are real, and which frames may see which.

Letters: N utterances, T frames after padding.
"""

import torch
from torch import Tensor


def frame_mask(num_frames: Tensor, max_frames: int) -> Tensor:
    """True at the real frames of each utterance, False at padding.

    Args:
        num_frames: (N,) integer counts, each at most ``max_frames``.
        max_frames: T, the padded length.

    Returns:
        (N, T) boolean.
    """
    return torch.arange(max_frames, device=num_frames.device) < num_frames[:, None]


def zero_padding(frames: Tensor, mask: Tensor) -> Tensor:
    """``frames`` with padding replaced by 0, so that not even NaN gets past it.

    Args:
        frames: (N, T, ...) values of any rank from 2 up.
        mask: (N, T) boolean, True at real frames.

    Returns:
        The shape of ``frames``.
    """
    return frames.masked_fill(~mask.view(*mask.shape, *[1] * (frames.dim() - 2)), 0.0)


def chunk_mask(max_frames: int, chunk_frames: int, left_chunks: int | None) -> Tensor:
    """Which key frame (column) each query frame (row) may attend to in streaming.

    Frame t belongs to chunk t // chunk_frames. It sees all of its own chunk
    and ``left_chunks`` chunks before it (None: all of them), nothing later.

    Args:
        max_frames: T.
        chunk_frames: frames in a chunk, at least 1.
        left_chunks: how many earlier chunks are visible.

    Returns:
        (T, T) boolean, True where attention is allowed.
    """
    chunk = torch.arange(max_frames) // chunk_frames
    behind = chunk[:, None] - chunk[None, :]  # how many chunks the key lies before the query
    visible = behind >= 0
    return visible if left_chunks is None else visible & (behind <= left_chunks)
