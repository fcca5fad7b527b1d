"""Beam of token prefixes for searches with decoders: all of one length, B places for each utterance.

Notation: A active utterances, B places in a beam, L tokens so far, P parts
(the decoder, a language model), R places in use, V tokens with the boundary
at 0.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from asrkd.models.stepwise import BOUNDARY


@dataclass(frozen=True)
class TokenBeam:
    """Beam of B different prefixes for each utterance, in the order of their tokens."""

    rows: Tensor  # (A,) int64, of the utterances in the batch
    tokens: Tensor  # (A, B, L) int64
    sums: Tensor  # (P, A, B) float64, log-probability by part, in nats
    used: Tensor  # (A, B) bool; other places hold arbitrary values

    @property
    def length(self) -> int:
        """Number of tokens, L."""
        return self.tokens.shape[2]

    @property
    def last(self) -> Tensor:
        """Last token of each place in use, (R,); the boundary before the first token."""
        return pad(self.tokens, (1, 0), value=BOUNDARY)[..., -1][self.used]

    def select(self, keep: Tensor) -> "TokenBeam":
        """Keep the utterances where ``keep``, (A,) bool, is True."""
        return TokenBeam(self.rows[keep], self.tokens[keep], self.sums[:, keep], self.used[keep])


def start(num_utterances: int, beam: int, num_parts: int, device: torch.device) -> TokenBeam:
    """Return the beam before the first token: the empty prefix in the first place of each utterance."""
    used = torch.zeros((num_utterances, beam), dtype=torch.bool, device=device)
    used[:, 0] = True
    return TokenBeam(
        rows=torch.arange(num_utterances, device=device),
        tokens=torch.zeros((num_utterances, beam, 0), dtype=torch.int64, device=device),
        sums=torch.zeros((num_parts, num_utterances, beam), dtype=torch.float64, device=device),
        used=used,
    )


def extend(beam: TokenBeam, sums: Tensor, total: Tensor) -> tuple[TokenBeam, Tensor]:
    """Select the B best prefixes of one more token; of equal prefixes, the first in the order of tokens.

    Args:
        beam: the beam so far.
        sums: (P, R, V - 1) log-probabilities in nats, by part, of each prefix with each token but the
            boundary.
        total: (R, V - 1) values of the criterion; -inf where impossible.

    Returns:
        The longer beam, and the source of each place among the R prefixes, (A, B).
    """
    num_utterances, places = beam.used.shape
    num_tokens = total.shape[1]
    scores = total.new_full((num_utterances, places, num_tokens), -torch.inf)
    scores[beam.used] = total
    flat = scores.view(num_utterances, -1)
    chosen = best_places(flat, places)  # (A, B), ascending: prefixes stay in the order of their tokens
    place = torch.div(chosen, num_tokens, rounding_mode="floor")
    token = chosen % num_tokens
    origin = (beam.used.view(-1).cumsum(0) - 1).view_as(beam.used).clamp(min=0).gather(1, place)
    before = beam.tokens.gather(1, place[..., None].expand(-1, -1, beam.length))
    after = replace(
        beam,
        tokens=torch.cat([before, token[..., None] + 1], dim=2),
        sums=sums[:, origin, token],
        used=torch.isfinite(flat.gather(1, chosen)),
    )
    return after, origin


def best_places(scores: Tensor, count: int) -> Tensor:
    """Return the places of the ``count`` highest scores of each row, ascending; of equal ones, the first.

    Args:
        scores: (A, C) scores, C >= count, without NaN.
        count: number of places.

    Returns:
        Places (A, count), int64.
    """
    values, places = scores.topk(count, dim=1)
    lowest = values[:, -1:]
    above, equal = torch.gt(scores, lowest), torch.eq(scores, lowest)
    room = count - above.sum(dim=1, keepdim=True)
    if bool((equal.sum(dim=1, keepdim=True) == room).all()):
        return places.sort(dim=1).values
    selected = above | (equal & (equal.cumsum(dim=1) <= room))
    return selected.nonzero()[:, 1].view(len(scores), count)
