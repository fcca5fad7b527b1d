"""A direct-sum quantiser: an embedding as one entry of each of N codebooks, added up.

Source: Guo et al., "Predicting Multi-Codebook Vector Quantization Indexes
for Knowledge Distillation", arXiv:2211.00508, section 2; parameters named
and scaled as in the ``multi_quantization`` package, so that its quantisers can be read.

Departures: embeddings are centred by their mean first (that package learns
an offset only slowly, and measures its error against its own guess of it);
frames are worked on in chunks, so memory does not grow with their number;
by default a frame gets the best indexes met in its refinements, not the last.

Letters: B frames, N codebooks, K entries of each, D dimensions.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from asrkd.errors import AsrkdError
from asrkd.quantizer.refinement import look_up, refine, squared_errors

SCALE_SPEED = 10.0  # a scale is exp(10 * parameter), so that it learns faster than the rest


class DirectSumQuantizer(nn.Module):
    """N classifiers that propose an index each, and N codebooks that are summed.

    Attributes:
        mean: (D,) of the data, taken off before encoding and added after decoding.
        centers: (N, K, D) before scaling; see :meth:`scaled_centers`.
        to_logits: D -> N * K, scores of the entries of a scaled, centred embedding.
        logits_scale: logarithm, over 10, of the factor on embeddings before ``to_logits``.
        centers_scale: logarithm, over 10, of the factor on ``centers``.
    """

    mean: Tensor

    def __init__(self, dim: int, num_codebooks: int, codebook_size: int = 256) -> None:
        """Zeros of the right shape; training or a file fills them. Draws nothing at random.

        Raises:
            ValueError: N or K is not a power of two, or there are more than 256 entries.
        """
        super().__init__()
        for name, size in (("num_codebooks", num_codebooks), ("codebook_size", codebook_size)):
            if size < 1 or size & (size - 1):
                raise ValueError(f"{name} must be a power of two, got {size}")
        if not 2 <= codebook_size <= 256:
            raise ValueError(f"codebook_size must be 2 to 256 (an index is a byte), got {codebook_size}")
        self.register_buffer("mean", torch.zeros(dim))
        self.centers = nn.Parameter(torch.zeros(num_codebooks, codebook_size, dim))
        self.to_logits = skip_init(nn.Linear, dim, num_codebooks * codebook_size)
        for parameter in self.to_logits.parameters():
            nn.init.zeros_(parameter)
        self.logits_scale = nn.Parameter(torch.zeros(()))
        self.centers_scale = nn.Parameter(torch.zeros(()))

    @property
    def num_codebooks(self) -> int:
        """N: indexes, and bytes, of a frame."""
        return self.centers.shape[0]

    @property
    def codebook_size(self) -> int:
        """K: entries of a codebook."""
        return self.centers.shape[1]

    @property
    def dim(self) -> int:
        """D: size of an embedding."""
        return self.centers.shape[2]

    def scaled_centers(self) -> Tensor:
        """What the entries stand for, (N, K, D), relative to the mean."""
        return self.centers * (SCALE_SPEED * self.centers_scale).exp()

    def logits(self, centred: Tensor) -> Tensor:
        """Scores (B, N, K) of embeddings (B, D) without their mean."""
        scaled = centred * (SCALE_SPEED * self.logits_scale).exp()
        logits: Tensor = self.to_logits(scaled)
        return logits.view(-1, self.num_codebooks, self.codebook_size)

    def encode(
        self,
        embeddings: Tensor,
        *,
        refinements: int = 5,
        chunk_frames: int = 128,
        keep_better: bool = True,
    ) -> Tensor:
        """Indexes of every frame, (B, N) uint8.

        Args:
            embeddings: (B, D), finite.
            refinements: at most this many passes over a frame; fewer once it no longer changes.
            chunk_frames: frames worked on at once; memory grows with it and not with B, by
                0.11 MB a frame for 8 codebooks and D = 96, 1.4 MB for D = 1280 (measured).
                The last chunk is filled up, so that arithmetic has the same shapes, and
                a frame the same indexes, however many come together.
            keep_better: give the best indexes met on the way; False gives the last, as
                ``multi_quantization`` does, though a pass may raise a frame's error.

        Raises:
            AsrkdError: an embedding has a NaN or an infinity.
            ValueError: the shape does not fit, or a count is out of range.
        """
        rounds = self.encode_rounds(embeddings, refinements, chunk_frames, keep_better)
        return rounds[-1]

    @torch.no_grad()
    def encode_rounds(
        self, embeddings: Tensor, refinements: int = 5, chunk_frames: int = 128, keep_better: bool = True
    ) -> Tensor:
        """Indexes after 0, 1, ... passes, (refinements + 1, B, N) uint8; see :meth:`encode`."""
        self._check(embeddings, refinements, chunk_frames)
        centred = embeddings.to(self.mean) - self.mean
        centers = self.scaled_centers()
        indexes, errors = self._in_chunks(centred, None, chunk_frames, centers)
        chosen = [indexes.to(torch.uint8)]
        unsettled = torch.arange(len(centred), device=centred.device)
        for _ in range(refinements):
            before = indexes[unsettled]
            after, errors_after = self._in_chunks(centred[unsettled], before, chunk_frames, centers)
            # A pass is a function of the frame and its indexes: unchanged once is unchanged for ever.
            changed = (after != before).any(dim=1)
            unsettled, after, errors_after = unsettled[changed], after[changed], errors_after[changed]
            indexes[unsettled] = after
            taken = (errors_after < errors[unsettled]) | (not keep_better)
            errors[unsettled[taken]] = errors_after[taken]
            chosen.append(chosen[-1].index_copy(0, unsettled[taken], after[taken].to(torch.uint8)))
        return torch.stack(chosen)

    @torch.no_grad()
    def decode(self, indexes: Tensor) -> Tensor:
        """The embeddings that indexes (B, N), any integer type, stand for: (B, D).

        Raises:
            ValueError: the shape does not fit, or an index is not in [0, K).
        """
        if indexes.dim() != 2 or indexes.shape[1] != self.num_codebooks:
            raise ValueError(f"expected indexes (B, {self.num_codebooks}), got {tuple(indexes.shape)}")
        wide = indexes.long()
        if wide.numel() and not 0 <= int(wide.min()) <= int(wide.max()) < self.codebook_size:
            raise ValueError(f"indexes must be in [0, {self.codebook_size})")
        centers = self.scaled_centers()
        return torch.cat([look_up(centers, rows).sum(dim=1) for rows in wide.split(1024)]) + self.mean

    def _check(self, embeddings: Tensor, refinements: int, chunk_frames: int) -> None:
        if embeddings.dim() != 2 or embeddings.shape[1] != self.dim:
            raise ValueError(f"expected embeddings (B, {self.dim}), got {tuple(embeddings.shape)}")
        if refinements < 0 or chunk_frames < 1:
            raise ValueError(f"refinements {refinements} or chunk_frames {chunk_frames} is out of range")
        check_finite(embeddings)

    def _in_chunks(
        self, centred: Tensor, indexes: Tensor | None, size: int, centers: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Indexes (B, N) and squared errors (B,): the first ones if there are none, else after a pass."""
        indexes_found: list[Tensor] = [centred.new_zeros((0, self.num_codebooks), dtype=torch.long)]
        errors: list[Tensor] = [centred.new_zeros(0)]
        for start in range(0, len(centred), size):
            frames = _filled(centred[start : start + size], size)
            if indexes is None:
                found = self.logits(frames).argmax(dim=-1)
            else:
                found = refine(frames, centers, _filled(indexes[start : start + size], size))
            indexes_found.append(found[: len(centred) - start])
            errors.append(squared_errors(frames, centers, found)[: len(centred) - start])
        return torch.cat(indexes_found), torch.cat(errors)


def check_finite(embeddings: Tensor) -> None:
    """Refuse embeddings (B, D) that hold a NaN or an infinity.

    Raises:
        AsrkdError: with the first such frame, counted from 0.
    """
    bad = (~embeddings.isfinite()).any(dim=1).nonzero()
    if len(bad):
        raise AsrkdError(
            f"embeddings: frame {int(bad[0])} of {len(embeddings)} has a NaN or an infinity "
            f"({len(bad)} such frames); look for bad audio with: asrkd check"
        )


def _filled(rows: Tensor, size: int) -> Tensor:
    """Rows (b, X) with zeros after them, (size, X)."""
    return rows if len(rows) == size else torch.cat([rows, rows.new_zeros(size - len(rows), rows.shape[1])])
