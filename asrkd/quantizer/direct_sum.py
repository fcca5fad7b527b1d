"""Direct-sum quantizer: an embedding as the sum of one entry of each of N codebooks.

Source: Guo et al., "Predicting Multi-Codebook Vector Quantization Indexes
for Knowledge Distillation", arXiv:2211.00508, section 2; parameters have the
names and scales of the ``multi_quantization`` package, so that its quantizers
can be read.

Departures:

- Embeddings are centered by their mean first; the package learns an offset only
  slowly, and measures its error against its own estimate of it.
- Frames are encoded in chunks, so memory does not grow with their number.
- The initial indexes of a frame come from a beam over the codebooks, and the
  result is the best of all refinements. :data:`asrkd.quantizer.search.search.REFERENCE`
  starts from the classifiers' indexes and returns the last, as the package does.

Notation: B frames, N codebooks, K entries of each, D dimensions.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils import skip_init

from asrkd.core.errors import AsrkdError
from asrkd.quantizer.search.search import STANDARD, IndexSearch, beam_indexes, refine_rounds
from asrkd.quantizer.search.tables import CenterTables, dots_of, sum_entries

BLOCK_FRAMES = 64  # rows of every matrix product: its last bits may depend on its shape
SCALE_SPEED = 10.0  # a scale is exp(10 * parameter), so that it learns faster than the rest


class DirectSumQuantizer(nn.Module):
    """Direct-sum quantizer: N classifiers, each of which proposes an index, and N codebooks that are summed.

    Attributes:
        mean: (D,) mean of the data, subtracted before encoding and added after decoding.
        centers: (N, K, D) vectors of the entries before scaling; see :meth:`scaled_centers`.
        to_logits: linear map from a scaled, centered embedding (D) to logits of all entries (N * K).
        logits_scale: logarithm, over 10, of the factor on embeddings before ``to_logits``.
        centers_scale: logarithm, over 10, of the factor on ``centers``.
    """

    mean: Tensor

    def __init__(self, dim: int, num_codebooks: int, codebook_size: int = 256) -> None:
        """Create parameters of zeros, for training or a file to fill; draw no random numbers.

        Raises:
            ValueError: no codebook, or not 2 to 256 entries.
        """
        super().__init__()
        if num_codebooks < 1:
            raise ValueError(f"num_codebooks must be at least 1, got {num_codebooks}")
        if not 2 <= codebook_size <= 256:
            raise ValueError(f"codebook_size must be 2 to 256 (an index is a byte), got {codebook_size}")
        self.register_buffer("mean", torch.zeros(dim))
        self.centers = nn.Parameter(torch.zeros(num_codebooks, codebook_size, dim))
        self.to_logits = skip_init(nn.Linear, dim, num_codebooks * codebook_size)
        for parameter in self.to_logits.parameters():
            nn.init.zeros_(parameter)
        self.logits_scale = nn.Parameter(torch.zeros(()))
        self.centers_scale = nn.Parameter(torch.zeros(()))
        self._tables: tuple[object, CenterTables] | None = None

    @property
    def num_codebooks(self) -> int:
        """N: indexes, and bytes, per frame."""
        return self.centers.shape[0]

    @property
    def codebook_size(self) -> int:
        """K: entries per codebook."""
        return self.centers.shape[1]

    @property
    def dim(self) -> int:
        """D: size of an embedding."""
        return self.centers.shape[2]

    def scaled_centers(self) -> Tensor:
        """Return the vectors of the entries, (N, K, D), relative to the mean."""
        return self.centers * (SCALE_SPEED * self.centers_scale).exp()

    def logits(self, centered: Tensor) -> Tensor:
        """Return logits (B, N, K) of centered embeddings (B, D)."""
        # The factor is applied after the product, so that its gradient needs no further product.
        factor = (SCALE_SPEED * self.logits_scale).exp()
        logits = torch.addcmul(self.to_logits.bias, linear(centered, self.to_logits.weight), factor)
        return logits.view(-1, self.num_codebooks, self.codebook_size)

    def _dots(self, centered: Tensor) -> Tensor:
        """Return <x, c> of centered embeddings (B, D) and the scaled centers, (B, N * K)."""
        return dots_of(centered, self.centers).mul_((SCALE_SPEED * self.centers_scale).exp())

    def tables(self) -> CenterTables:
        """Return the tables of the scaled centers; computed again only after these have changed."""
        state = (
            self.centers._version,
            self.centers_scale._version,
            self.centers.device,
            self.centers.data_ptr(),
        )
        if self._tables is None or self._tables[0] != state:
            self._tables = (state, CenterTables.of(self.scaled_centers()))
        return self._tables[1]

    @torch.no_grad()
    def encode(
        self,
        embeddings: Tensor,
        search: IndexSearch = STANDARD,
        *,
        chunk_frames: int = 1024,
        all_rounds: bool = False,
    ) -> Tensor:
        """Compute the codebook indexes of every frame.

        Args:
            embeddings: (B, D) embeddings, finite.
            search: options of the search for the indexes.
            chunk_frames: frames of one chunk, which takes some 8 N K bytes per frame. The indexes do not
                depend on it, nor on the other frames: matrices are multiplied in blocks of one size, and
                searched in whole numbers.
            all_rounds: whether to return the indexes after 0, 1, ... passes of refinement, not only the last.

        Returns:
            Indexes (B, N), uint8; with ``all_rounds`` (refinements + 1, B, N).

        Raises:
            AsrkdError: an embedding has a NaN or an infinity.
            ValueError: the shape does not fit, or ``chunk_frames`` is out of range.
        """
        self._check(embeddings, chunk_frames)
        indexes = embeddings.new_empty(
            (search.refinements + 1, len(embeddings), self.num_codebooks), dtype=torch.uint8
        )
        for start in range(0, len(embeddings), chunk_frames):
            chunk = slice(start, start + chunk_frames)
            centered = embeddings[chunk].to(self.mean) - self.mean
            dots = centered.new_empty(len(centered), self.num_codebooks * self.codebook_size)
            _in_blocks(centered, self._dots, dots)
            first = self._first_indexes(centered, dots, search)
            rounds, changes = refine_rounds(dots, self.tables(), first, search.refinements)
            indexes[:, chunk] = _best_so_far(rounds, changes) if search.keep_better else rounds
        return indexes if all_rounds else indexes[-1]

    def _first_indexes(self, centered: Tensor, dots: Tensor, search: IndexSearch) -> Tensor:
        """Compute the indexes (B, N) before refinement, for centered embeddings (B, D)."""
        if search.beam:
            return beam_indexes(dots, self.tables(), search.beam)
        first = centered.new_empty((len(centered), self.num_codebooks), dtype=torch.long)
        _in_blocks(centered, lambda block: self.logits(block).argmax(dim=-1), first)
        return first

    @torch.no_grad()
    def decode(self, indexes: Tensor) -> Tensor:
        """Decode indexes (B, N) of any integer type to embeddings (B, D).

        Raises:
            ValueError: the shape does not fit, or an index is not in [0, K).
        """
        if indexes.dim() != 2 or indexes.shape[1] != self.num_codebooks:
            raise ValueError(f"expected indexes (B, {self.num_codebooks}), got {tuple(indexes.shape)}")
        wide = indexes.long()
        if wide.numel() and not 0 <= int(wide.min()) <= int(wide.max()) < self.codebook_size:
            raise ValueError(f"indexes must be in [0, {self.codebook_size})")
        centers = self.scaled_centers()
        return sum_entries(centers, wide) + self.mean

    def _check(self, embeddings: Tensor, chunk_frames: int) -> None:
        if embeddings.dim() != 2 or embeddings.shape[1] != self.dim:
            raise ValueError(f"expected embeddings (B, {self.dim}), got {tuple(embeddings.shape)}")
        if chunk_frames < 1:
            raise ValueError(f"chunk_frames {chunk_frames} is out of range")
        check_finite(embeddings)


def check_finite(embeddings: Tensor) -> None:
    """Raise AsrkdError if embeddings (B, D) have a NaN or an infinity.

    Raises:
        AsrkdError: there is such a frame; the message has the index of the first one, from 0.
    """
    bad = (~embeddings.isfinite()).any(dim=1).nonzero()
    if len(bad):
        raise AsrkdError(
            f"embeddings: frame {int(bad[0])} of {len(embeddings)} has a NaN or an infinity "
            f"({len(bad)} such frames); look for bad audio with: asrkd check"
        )


def _best_so_far(rounds: Tensor, changes: Tensor) -> Tensor:
    """Return the best indexes up to each round, the first of ties; rounds (P + 1, B, N), changes (P, B)."""
    best, change = [rounds[0]], changes.new_zeros(changes.shape[1])
    lowest = change
    for indexes, step in zip(rounds[1:], changes, strict=True):
        change = change + step
        better = change < lowest
        lowest = torch.where(better, change, lowest)
        best.append(torch.where(better[:, None], indexes, best[-1]))
    return torch.stack(best)


def _in_blocks(rows: Tensor, multiply: Callable[[Tensor], Tensor], products: Tensor) -> None:
    """Write ``multiply`` of rows (b, X) into ``products`` (b, ...), in blocks of BLOCK_FRAMES rows.

    The last block is filled up with zeros.
    """
    for start in range(0, len(rows), BLOCK_FRAMES):
        block = rows[start : start + BLOCK_FRAMES]
        missing = BLOCK_FRAMES - len(block)
        filled = block if not missing else torch.cat([block, block.new_zeros(missing, block.shape[1])])
        products[start : start + len(block)] = multiply(filled)[: len(block)]
