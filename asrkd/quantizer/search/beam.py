"""Beam search over the codebooks for the initial indexes of a frame, which refinement passes then improve.

Codebooks are added one by one, in each frame in the order of the error that
their best entry alone leaves; of all continuations, the ``beam`` sums nearest
to the frame are kept. This is the usual encoding of additive quantizers
(Babenko and Lempitsky, "Additive Quantization for Extreme Vector Compression",
CVPR 2014, section 3.1), with another order of the codebooks.

Departure from Guo et al., arXiv:2211.00508, whose passes start from the
classifiers' indexes: from a beam, three passes end with an error about as low
as five from the classifiers, or lower, and no matrix product with the
classifiers is needed.

Costs are in the coarse units of :mod:`asrkd.quantizer.search.tables`, which are
accurate enough for initial indexes; refinement passes use the fine units.

Notation: B frames, N codebooks, K entries of each, R = N * K rows, W sums in the beam.
"""

import torch
from torch import Tensor

from asrkd.quantizer.search.refinement import FRAMES_AT_ONCE, PLACES
from asrkd.quantizer.search.tables import CenterTables

MAX_BEAM = 64  # times 256 entries are PLACES
LARGEST_COST = 2.0**30  # of one entry alone, in halves of a coarse unit; larger ones are far from the data


def beam_indexes(dots: Tensor, tables: CenterTables, beam: int) -> Tensor:
    """Search the indexes of the best sum in the beam, (B, N) int64.

    Args:
        dots: (B, R) inner products of the frames with the centers, on any device.
        tables: tables of the centers, on the same device.
        beam: W, sums kept after every codebook, 1 to 64.
    """
    indexes = torch.empty(len(dots), tables.num_codebooks, dtype=torch.long, device=dots.device)
    for frames in torch.arange(len(dots), device=dots.device).split(FRAMES_AT_ONCE.get(dots.device.type, 16)):
        indexes[frames] = _search(_costs(dots[frames], tables), tables.coarse, beam)
    return indexes


def _costs(dots: Tensor, tables: CenterTables) -> Tensor:
    """Return half of the squared error that an entry alone adds to its frame, (B, N, K) int64."""
    coarse = dots.double().mul_(tables.coarse_units).clamp_(-LARGEST_COST, LARGEST_COST).round_().long()
    return (tables.coarse_halves - coarse).view(len(dots), tables.num_codebooks, tables.codebook_size)


def _search(costs: Tensor, coarse: Tensor, beam: int) -> Tensor:
    """Return indexes (B, N) for costs (B, N, K)."""
    batch, num_codebooks, codebook_size = costs.shape
    products = coarse.view(-1, num_codebooks, codebook_size)  # (R, N, K)
    order = costs.amin(dim=2).argsort(dim=1, stable=True)  # (B, N) codebooks
    rows = order.new_empty((batch, 1, 0))  # (B, W, entries so far) of the sums in the beam
    total = costs.new_zeros((batch, 1))  # (B, W)
    for codebook in order.T:
        alone = costs[torch.arange(batch, device=costs.device), codebook][:, None]  # (B, 1, K)
        values = alone.expand(-1, rows.shape[1], -1).clone()
        for row in rows.unbind(dim=2):
            values += products[row, codebook[:, None]]
        values += total[..., None]
        places = torch.arange(values.shape[1] * codebook_size, device=costs.device)
        keys = values.flatten(1) * PLACES + places
        keys = keys.topk(min(beam, len(places)), dim=1, largest=False, sorted=True).values
        total, place = keys >> (PLACES.bit_length() - 1), keys & (PLACES - 1)
        parent = torch.div(place, codebook_size, rounding_mode="floor")
        entry = place - parent * codebook_size + codebook[:, None] * codebook_size
        rows = rows.gather(1, parent[..., None].expand(-1, -1, rows.shape[2]))
        rows = torch.cat([rows, entry[..., None]], dim=2)
    chosen = rows[:, 0] - order * codebook_size
    return torch.empty_like(chosen).scatter_(1, order, chosen)
