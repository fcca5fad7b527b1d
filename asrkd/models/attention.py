"""Multi-head self-attention with rotary positions, and cross-attention to encoder frames.

Source: Su et al., "RoFormer", arXiv:2104.09864, equation 34: query and key
are rotated by an angle proportional to their frame number, so their product
depends on the distance between them alone, for any length.

Notation: N utterances, T frames, D model size, H heads, K = D / H.
"""

import torch
from torch import Tensor, nn

MOST_SCORES = 2**26  # scores of queries and keys at a time where no gradient is kept: 256 MiB


class RotarySelfAttention(nn.Module):
    """Multi-head self-attention with rotary positions."""

    def __init__(self, dim: int, num_heads: int, dropout: float) -> None:
        """Create the projections with random weights.

        Args:
            dim: D, an even multiple of ``num_heads``.
            num_heads: H.
            dropout: share of attention weights dropped in training, [0, 1).
        """
        super().__init__()
        self.num_heads = num_heads
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, frames: Tensor, allowed: Tensor) -> Tensor:
        """Attend from each frame to the allowed frames.

        Args:
            frames: (N, T, D) frames, finite everywhere.
            allowed: (N, T, T) or (N, 1, T) boolean, True where a query (row) may
                attend to a key (column). A row without any gives zeros.

        Returns:
            Frames (N, T, D).
        """
        return self.attend(*self.heads(frames), allowed)

    def heads(self, frames: Tensor, first: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Project (N, T, D) frames, numbered from ``first``, to queries, keys, values, each (N, H, T, K)."""
        query, key, value = map(self._split, self.query_key_value(frames).chunk(3, dim=-1))
        cos, sin = rotation(frames.shape[1], key.shape[-1], key, first)
        return rotate(query, cos, sin), rotate(key, cos, sin), value

    def step(
        self, frames: Tensor, key: Tensor, value: Tensor, allowed: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Attend from a chunk of frames to itself and to the frames before it, whose projections are kept.

        Keys are kept unrotated and are rotated by their places in the window, so that no angle grows with
        the length of a stream; only differences of places matter.

        Args:
            frames: (N, C, D) frames.
            key: (N, L, D) keys of the L frames before them.
            value: (N, L, D) values of these.
            allowed: (N, 1, L + C) boolean, True at the frames that may be attended to.

        Returns:
            Frames (N, C, D), and the keys and values of the last L frames.
        """
        length = key.shape[1]
        query, new_key, new_value = self.query_key_value(frames).chunk(3, dim=-1)
        key, value = torch.cat([key, new_key], dim=1), torch.cat([value, new_value], dim=1)
        queries, keys = self._split(query), self._split(key)
        cos, sin = rotation(key.shape[1], keys.shape[-1], keys)
        queries = rotate(queries, cos[length:], sin[length:])
        mixed = self.attend(queries, rotate(keys, cos, sin), self._split(value), allowed)
        kept = key.shape[1] - length
        return mixed, key[:, kept:], value[:, kept:]

    def _split(self, vectors: Tensor) -> Tensor:
        """Split (N, T, D) into heads, (N, H, T, K)."""
        n, t, d = vectors.shape
        return vectors.view(n, t, self.num_heads, d // self.num_heads).transpose(1, 2)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, allowed: Tensor) -> Tensor:
        """Attend with (N, H, T, K) queries to (N, H, T', K) keys and values; returns (N, T, D).

        ``allowed`` (N, T, T') is boolean, of a shape that broadcasts to it.
        """
        out: Tensor = self.out(weighted(query, key, value, allowed, self.dropout))
        return out


class CrossAttention(nn.Module):
    """Multi-head attention of decoder positions to encoder frames, without positions of its own."""

    def __init__(self, dim: int, memory_dim: int, num_heads: int, dropout: float) -> None:
        """Create the projections with random weights.

        Args:
            dim: D of the decoder positions, a multiple of ``num_heads``.
            memory_dim: D' of the encoder frames.
            num_heads: H.
            dropout: share of attention weights dropped in training, [0, 1).
        """
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(memory_dim, 2 * dim)
        self.out = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def memory(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Project (N, T, D') frames, finite everywhere, to keys and values, each (N, H, T, K)."""
        key, value = self.key_value(frames).chunk(2, dim=-1)
        return self._split(key), self._split(value)

    def forward(self, positions: Tensor, key: Tensor, value: Tensor, allowed: Tensor) -> Tensor:
        """Attend with (N, U, D) positions to the keys and values of :meth:`memory`, each (N, H, T, K).

        ``allowed`` (N, 1, T) is True at the frames that may be attended to. Returns (N, U, D).
        """
        query = self._split(self.query(positions))
        out: Tensor = self.out(weighted(query, key, value, allowed, self.dropout))
        return out

    def _split(self, vectors: Tensor) -> Tensor:
        n, t, d = vectors.shape
        return vectors.view(n, t, self.num_heads, d // self.num_heads).transpose(1, 2)


def weighted(query: Tensor, key: Tensor, value: Tensor, allowed: Tensor, dropout: nn.Module) -> Tensor:
    """Compute scaled dot-product attention.

    Args:
        query: (N, H, T, K) queries.
        key: (N, H, T', K) keys.
        value: (N, H, T', K) values, finite everywhere.
        allowed: (N, T, T') boolean, of a shape that broadcasts to it; a row without any True gives zeros.
        dropout: dropout of the attention weights.

    Returns:
        Weighted sums (N, T, H * K) of the values.
    """
    n, h, t, k = query.shape
    rows = max(1, MOST_SCORES // max(1, n * h * key.shape[2]))
    if rows < t and not torch.is_grad_enabled():  # each query by itself: those of half an hour, in blocks
        blocks = [slice(first, first + rows) for first in range(0, t, rows)]
        masks = [allowed if allowed.shape[1] == 1 else allowed[:, block] for block in blocks]
        return torch.cat(
            [
                weighted(query[:, :, block], key, value, mask, dropout)
                for block, mask in zip(blocks, masks, strict=True)
            ],
            dim=1,
        )
    query = query * k**-0.5  # before the product, which would overflow in fp16
    scores = (query @ key.transpose(-2, -1)).float()  # (N, H, T, T')
    scores = scores.masked_fill(~allowed[:, None], torch.finfo(scores.dtype).min)
    weights = (scores.softmax(dim=-1) * allowed[:, None].any(dim=-1, keepdim=True)).to(value.dtype)
    mixed: Tensor = dropout(weights) @ value
    return mixed.transpose(1, 2).reshape(n, t, h * k)


def rotation(num_frames: int, dim: int, like: Tensor, first: int = 0) -> tuple[Tensor, Tensor]:
    """Return cosines and sines, each (T, K / 2), of the rotary angles.

    The angle is the frame number, counted from ``first``, times a frequency
    10000 ** (-2 i / K), as in the paper.

    Args:
        num_frames: T, number of frames.
        dim: K, size of a head.
        like: tensor (...) whose device and dtype the result has; angles are computed in float32.
        first: number of the first frame.
    """
    exponents = torch.arange(0, dim, 2, device=like.device, dtype=torch.float32) / dim
    positions = torch.arange(first, first + num_frames, device=like.device, dtype=torch.float32)
    angles = torch.outer(positions, 10000.0**-exponents)  # (T, K / 2)
    return angles.cos().to(like.dtype), angles.sin().to(like.dtype)


def rotate(vectors: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate each pair (i, i + K / 2) of (N, H, T, K) vectors by the angle of its frame.

    ``cos`` and ``sin``, each (T, K / 2), are those of :func:`rotation`.
    """
    first, second = vectors.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
