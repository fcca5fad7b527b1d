"""State of a prefix beam search, and its update by one frame.

Each prefix has two sums, over its alignments that end in blank and over those
that do not (Hannun et al., arXiv:1408.2873, section 2.3). A 64-bit
hash identifies a prefix, so that a beam is a few tensors, and merging an
extension with a prefix of the beam needs no strings.

Sums are probabilities, not logarithms, relative to the best prefix after each
frame. Sums, products and quotients are bit-equal on every device, and equal
candidates are taken in order, so :mod:`asrkd.decoding.prefix_beam_numba` finds
the same prefixes. A prefix 1e308 times less likely than the best counts as
impossible.

Notation: N utterances, V symbols with blank at 0, B places in the beam,
K tokens that a frame may append.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from asrkd.data.tokens import BLANK_ID

# 2**64 / golden ratio, made odd, as a signed 64-bit number: multiplying by it spreads neighboring values.
HASH_MULTIPLIER = 0x9E3779B97F4A7C15 - (1 << 64)
LOW_32_BITS = 0xFFFFFFFF
ROOT_HASH, NO_HASH = 0, 1  # hashes of the empty prefix, and of its parent, which no prefix has but by chance


@dataclass(frozen=True)
class BeamState:
    """B prefixes per utterance, each field of shape (N, B); in an unused place, both sums are 0.

    A frame compares B hashes with B others: in an utterance of T frames,
    different prefixes collide with a probability of about T * B**2 / 2**64,
    2e-14 for T = 1500 and B = 16. A collision may lose a hypothesis. It cannot
    return one twice or with a wrong score, as tokens are stored and scored
    in the end.
    """

    blank: Tensor  # probability of the alignments that end in blank
    nonblank: Tensor  # probability of the alignments that end in the last token
    last: Tensor  # last token; BLANK_ID for the empty prefix
    prefix_hash: Tensor  # int64
    parent_hash: Tensor  # int64, of the prefix without its last token

    @property
    def total(self) -> Tensor:
        """Probability of all alignments so far, shape (N, B)."""
        return self.blank + self.nonblank


@dataclass(frozen=True)
class FrameTokens:
    """Tokens that a frame may append."""

    likeliest: Tensor  # (N, K) int64, different tokens: all that can enter a beam
    allowed: Tensor | None = None  # (N, V) bool, True at permitted tokens; None: all


def start(num_utterances: int, beam: int, device: torch.device) -> BeamState:
    """Return the state before the first frame: the certain empty prefix, in the first of ``beam`` places."""
    impossible = torch.zeros((num_utterances, beam), dtype=torch.float64, device=device)
    blank = impossible.clone()
    blank[:, 0] = 1.0
    hashes = torch.full((num_utterances, beam), ROOT_HASH, dtype=torch.int64, device=device)
    last = torch.full_like(hashes, BLANK_ID)
    return BeamState(blank, impossible, last, hashes, torch.full_like(hashes, NO_HASH))


def advance(state: BeamState, frame: Tensor, tokens: FrameTokens) -> tuple[BeamState, Tensor, Tensor]:
    """Update the beam by one frame.

    Args:
        state: the beam before the frame.
        frame: shape (N, V), probabilities, float64.
        tokens: tokens that the frame may append.

    Returns:
        The beam after the frame, best first; the source place of each of its
        prefixes, (N, B); the token that it appended, BLANK_ID for none, (N, B).
    """
    total = state.total
    parent, has_parent = _parents(state, total)
    last_prob = frame.gather(1, state.last)  # (N, B), of the last token
    # The extension of a prefix's parent by the same last token is merged into the prefix.
    repeats = torch.eq(state.last.gather(1, parent), state.last)
    merged = torch.where(repeats, state.blank.gather(1, parent), total.gather(1, parent))
    if tokens.allowed is not None:
        merged = merged * tokens.allowed.gather(1, state.last)
    merged = torch.where(has_parent, merged, torch.zeros_like(merged))
    stayed = BeamState(
        blank=total * frame[:, BLANK_ID, None],
        nonblank=state.nonblank * last_prob + merged * last_prob,
        last=state.last,
        prefix_hash=state.prefix_hash,
        parent_hash=state.parent_hash,
    )
    extended = _extend(state, total, frame, tokens.likeliest)  # (N, B, K)
    is_there = torch.eq(state.last[:, :, None], tokens.likeliest[:, None]) & has_parent[:, :, None]
    taken = torch.zeros_like(extended).scatter_add_(
        1, parent[:, :, None].expand_as(extended), is_there.double()
    )
    extended = extended.masked_fill(taken > 0, 0.0)
    return _select(stayed, extended, tokens.likeliest)


def rescaled(state: BeamState) -> BeamState:
    """Divide all sums by that of the best prefix, which is the first."""
    best = state.total[:, :1]
    best = torch.where(best > 0, best, torch.ones_like(best))
    return replace(state, blank=state.blank / best, nonblank=state.nonblank / best)


def _select(stayed: BeamState, extended: Tensor, tokens: Tensor) -> tuple[BeamState, Tensor, Tensor]:
    """Select the B likeliest of the prefixes that stay and of ``extended``; returns as :func:`advance`."""
    beam, width = stayed.last.shape[1], tokens.shape[1]
    candidates = torch.cat([stayed.total, extended.flatten(1)], dim=1)
    ranked, order = candidates.sort(dim=1, descending=True, stable=True)
    score, chosen = ranked[:, :beam], order[:, :beam]
    stays = chosen < beam
    source = torch.where(stays, chosen, torch.div(chosen - beam, max(width, 1), rounding_mode="floor"))
    token = pad(tokens, (0, 1)).gather(1, (chosen - beam) % max(width, 1)).masked_fill(stays, BLANK_ID)

    prefix_hash, nothing = stayed.prefix_hash.gather(1, source), torch.zeros_like(score)
    after = BeamState(
        blank=torch.where(stays, stayed.blank.gather(1, source), nothing),
        nonblank=torch.where(stays, stayed.nonblank.gather(1, source), score),
        last=torch.where(stays, stayed.last.gather(1, source), token),
        prefix_hash=torch.where(stays, prefix_hash, _hash(prefix_hash, token)),
        parent_hash=torch.where(stays, stayed.parent_hash.gather(1, source), prefix_hash),
    )
    return after, source, token


def _extend(state: BeamState, total: Tensor, frame: Tensor, tokens: Tensor) -> Tensor:
    """Compute the probability of each prefix extended by each of the (N, K) tokens, (N, B, K).

    The last token is appended again only after a blank; without one, the frame repeats it.
    """
    repeats = torch.eq(state.last[:, :, None], tokens[:, None])
    before = torch.where(repeats, state.blank[:, :, None], total[:, :, None])
    return before * frame.gather(1, tokens)[:, None]


def _parents(state: BeamState, total: Tensor) -> tuple[Tensor, Tensor]:
    """Find the place of each prefix's parent, (N, B), and whether it is in the beam, (N, B)."""
    possible = total > 0
    is_parent = torch.eq(state.parent_hash[:, :, None], state.prefix_hash[:, None])  # (N, B, B parents)
    is_parent = is_parent & possible[:, :, None] & possible[:, None]
    has_parent, place = is_parent.max(dim=2)
    return place, has_parent


def _hash(parent_hash: Tensor, token: Tensor) -> Tensor:
    """Hash a prefix with ``token`` appended: int64, overflow wraps around."""
    mixed: Tensor = (parent_hash + token) * HASH_MULTIPLIER
    return torch.bitwise_xor(mixed, (mixed >> 32) & LOW_32_BITS)
