"""The prefixes of a beam search and how one frame changes them.

Each prefix has two sums over its alignments, of those that end in blank and
of those that do not (Hannun et al., arXiv:1408.2873, section 2.3). A prefix
is known by a 64-bit hash of its tokens, so that a beam is a few tensors and
merging an extension with a prefix already there needs no strings.

Letters: N utterances, V symbols with blank at 0, B places in the beam,
K tokens that a frame may append.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from asrkd.decoding.log_probs import BLANK

# 2**64 / golden ratio, made odd, as a signed 64-bit number: multiplying by it spreads neighbouring values.
HASH_MULTIPLIER = 0x9E3779B97F4A7C15 - (1 << 64)
LOW_32_BITS = 0xFFFFFFFF


@dataclass(frozen=True)
class BeamState:
    """B prefixes per utterance, each field of shape (N, B); in an unused place, both sums are -inf.

    A frame compares B hashes with B others: per utterance of T frames,
    different prefixes are taken for one with a probability of about
    T * B**2 / 2**64, 2e-14 for T = 1500 and B = 16. Then a hypothesis can be
    lost; as the tokens themselves are kept and scored in the end, it cannot
    be returned twice or with a wrong score.
    """

    blank: Tensor  # log-probability of the alignments that end in blank, nats
    nonblank: Tensor  # log-probability of those that end in the last token, nats
    last: Tensor  # last token; BLANK for the empty prefix
    prefix_hash: Tensor  # int64
    parent_hash: Tensor  # int64, of the prefix without its last token

    @property
    def total(self) -> Tensor:
        """Log-probability of all alignments so far: shape (N, B), nats."""
        return torch.logaddexp(self.blank, self.nonblank)


def start(num_utterances: int, beam: int, device: torch.device) -> BeamState:
    """Before the first frame: the empty prefix, with certainty."""
    impossible = torch.full((num_utterances, beam), -torch.inf, dtype=torch.float64, device=device)
    blank = impossible.clone()
    blank[:, 0] = 0.0
    zeros = torch.zeros((num_utterances, beam), dtype=torch.int64, device=device)
    # The empty prefix has no parent: its parent's hash is one that no prefix has, but by chance.
    no_hash = torch.ones_like(zeros)
    return BeamState(blank=blank, nonblank=impossible, last=zeros, prefix_hash=zeros, parent_hash=no_hash)


def advance(state: BeamState, frame: Tensor, tokens: Tensor) -> tuple[BeamState, Tensor, Tensor]:
    """One frame on.

    Args:
        state: the beam before the frame.
        frame: shape (N, V), log-probabilities in nats, float64.
        tokens: shape (N, K), different tokens that may be appended.

    Returns:
        The beam after the frame; the place that each of its prefixes comes
        from, (N, B); the token that it appended, BLANK for none, (N, B).
    """
    total, width = state.total, tokens.shape[1] + 1
    extended, column = _extend(state, total, frame, tokens)  # (N, B * width), (N, B)
    place = _place_under_parent(state, total, column, width)  # (N, B)

    # A prefix in the beam takes over what its parent would give to the same prefix as an extension.
    blank = total + frame[:, BLANK, None]
    nonblank = torch.logaddexp(state.nonblank + frame.gather(1, state.last), extended.gather(1, place))
    extended = extended.scatter(1, place, -torch.inf)
    return _select(replace(state, blank=blank, nonblank=nonblank), extended, tokens)


def _select(stayed: BeamState, extended: Tensor, tokens: Tensor) -> tuple[BeamState, Tensor, Tensor]:
    """The B likeliest of the prefixes that stay and of ``extended``; returns what :func:`advance` does."""
    beam, width = stayed.last.shape[1], tokens.shape[1] + 1
    score, chosen = torch.cat([stayed.total, extended], dim=1).topk(beam, dim=1)
    stays = chosen < beam
    source = torch.where(stays, chosen, torch.div(chosen - beam, width, rounding_mode="floor"))
    token = pad(tokens, (0, 1), value=BLANK).gather(1, (chosen - beam) % width).masked_fill(stays, BLANK)

    prefix_hash = stayed.prefix_hash.gather(1, source)
    after = BeamState(
        blank=stayed.blank.gather(1, source).masked_fill(~stays, -torch.inf),
        nonblank=torch.where(stays, stayed.nonblank.gather(1, source), score),
        last=torch.where(stays, stayed.last.gather(1, source), token),
        prefix_hash=torch.where(stays, prefix_hash, _hash(prefix_hash, token)),
        parent_hash=torch.where(stays, stayed.parent_hash.gather(1, source), prefix_hash),
    )
    return after, source, token


def _extend(state: BeamState, total: Tensor, frame: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probability of each prefix with each token appended, and the column of its last token.

    A prefix has K + 1 columns: one for each of ``tokens``, and one that is
    impossible and stands for all the others. Returns (N, B * (K + 1)) and
    (N, B).
    """
    num_utterances, num_tokens = tokens.shape
    columns = torch.full_like(frame, num_tokens, dtype=torch.int64)  # (N, V)
    columns.scatter_(1, tokens, torch.arange(num_tokens, device=frame.device).expand_as(tokens))
    column = columns.gather(1, state.last)
    appended = pad(frame.gather(1, tokens), (0, 1), value=-torch.inf)  # (N, K + 1)
    extended = total[:, :, None] + appended[:, None]  # (N, B, K + 1)
    # The last token is appended anew only after a blank; without one, it is the same token going on.
    anew = state.blank + appended.gather(1, column)
    extended.scatter_(2, column[:, :, None], anew[:, :, None])
    return extended.view(num_utterances, -1), column


def _place_under_parent(state: BeamState, total: Tensor, column: Tensor, width: int) -> Tensor:
    """Where in (N, B * width) extensions the beam's own prefixes come up again, (N, B).

    For a prefix whose parent is not in the beam, or that is not possible,
    that is a column of impossible extensions.
    """
    possible = torch.isfinite(total)
    is_parent = torch.eq(state.parent_hash[:, :, None], state.prefix_hash[:, None])  # (N, B, B parents)
    is_parent = is_parent & possible[:, :, None] & possible[:, None]
    parent = is_parent.int().argmax(dim=2)
    return torch.where(is_parent.any(dim=2), parent * width + column, width - 1)


def _hash(parent_hash: Tensor, token: Tensor) -> Tensor:
    """Hash of a prefix with ``token`` appended: int64, overflow wraps around."""
    mixed: Tensor = (parent_hash + token) * HASH_MULTIPLIER
    return torch.bitwise_xor(mixed, (mixed >> 32) & LOW_32_BITS)
