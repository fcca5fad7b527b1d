"""Self-attention with relative positions, full or in chunks.

Positions are rotary (Su et al., "RoFormer", arXiv:2104.09864, eq. 34): query
and key are turned by an angle proportional to their frame number, so their
product depends on the distance between them alone, for any length.

Letters: N utterances, T frames, D model size, H heads, K = D / H.
"""

import torch
from torch import Tensor, nn


class RotarySelfAttention(nn.Module):
    """Multi-head self-attention whose scores depend on relative positions."""

    def __init__(self, dim: int, num_heads: int, dropout: float) -> None:
        """Build.

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
        """Attend.

        Args:
            frames: (N, T, D), finite everywhere.
            allowed: (N, T, T) or (N, 1, T) boolean, True where a query (row) may
                see a key (column). A row that may see nothing gives zeros.

        Returns:
            (N, T, D).
        """
        n, t, d = frames.shape
        split = self.query_key_value(frames).view(n, t, 3, self.num_heads, d // self.num_heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each (N, H, T, K)
        cos, sin = rotation(t, d // self.num_heads, frames)
        query, key = rotate(query, cos, sin), rotate(key, cos, sin)
        query = query * (d // self.num_heads) ** -0.5  # before the product, which overflows in fp16
        scores = (query @ key.transpose(-2, -1)).float()  # (N, H, T, T)
        scores = scores.masked_fill(~allowed[:, None], torch.finfo(scores.dtype).min)
        weights = (scores.softmax(dim=-1) * allowed[:, None].any(dim=-1, keepdim=True)).to(value.dtype)
        mixed = (self.dropout(weights) @ value).transpose(1, 2).reshape(n, t, d)
        out: Tensor = self.out(mixed)
        return out


def rotation(num_frames: int, dim: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines, each (T, K / 2), of frame number times the K / 2 frequencies.

    Frequencies are 10000 ** (-2 i / K), as in the paper. Angles are taken in
    float32 whatever the precision of ``like``, which gives device and dtype.
    """
    exponents = torch.arange(0, dim, 2, device=like.device, dtype=torch.float32) / dim
    positions = torch.arange(num_frames, device=like.device, dtype=torch.float32)
    angles = torch.outer(positions, 10000.0**-exponents)  # (T, K / 2)
    return angles.cos().to(like.dtype), angles.sin().to(like.dtype)


def rotate(vectors: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair (i, i + K / 2) of (N, H, T, K) vectors by the angle of its frame."""
    first, second = vectors.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
