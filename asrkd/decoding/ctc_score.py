"""Exact log P(hypothesis | audio) under CTC, over all alignments.

Source: Graves et al., "Connectionist Temporal Classification", ICML 2006,
equation 3 and section 4.1; PyTorch's CTC loss sums it.

A beam's sums lack the alignments that it pruned, and a lattice path's score is
that of one alignment, so the hypotheses of every search are scored again here.

Notation: H hypotheses, T frames of one utterance, V symbols with blank at 0,
S tokens of the longest hypothesis.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import ctc_loss

from asrkd.core.errors import AsrkdError
from asrkd.data.tokens import BLANK_ID
from asrkd.decoding.hypothesis import Hypothesis
from asrkd.models.masks import frame_mask


def checked_lengths(log_probs: Tensor, num_frames: Tensor) -> list[int]:
    """Return the real frames per utterance, after checking the whole batch.

    Args:
        log_probs: shape (N, T, V), floating, in nats; padding may hold anything.
        num_frames: shape (N,), integer, each 0..T.

    Raises:
        ValueError: the shapes do not fit together.
        AsrkdError: a real frame holds NaN.
    """
    if log_probs.dim() != 3 or not log_probs.is_floating_point() or log_probs.shape[2] < 1:
        raise ValueError(f"log_probs must be floating (N, T, V), got {tuple(log_probs.shape)}")
    if num_frames.shape != log_probs.shape[:1] or num_frames.is_floating_point():
        raise ValueError(f"num_frames must be {log_probs.shape[0]} integers, got {tuple(num_frames.shape)}")
    lengths: list[int] = num_frames.tolist()
    if lengths and not 0 <= min(lengths) <= max(lengths) <= log_probs.shape[1]:
        raise ValueError(f"num_frames must be in 0..{log_probs.shape[1]}, got {lengths}")

    real = frame_mask(torch.tensor(lengths, device=log_probs.device), log_probs.shape[1])
    bad = log_probs.isnan().any(dim=2) & real  # (N, T)
    if bad.any():
        utterance, frame = bad.nonzero()[0].tolist()
        raise AsrkdError(
            f"the model gives NaN at output frame {frame} of utterance {utterance} of the batch: expected "
            "log-probabilities; its training diverged; use an earlier checkpoint"
        )
    return lengths


@torch.no_grad()
def hypothesis_log_prob(log_probs: Tensor, hypotheses: Sequence[Sequence[int]]) -> Tensor:
    """Compute the exact log-probability of each hypothesis, in nats.

    Args:
        log_probs: shape (T, V), log-softmax of one utterance without padding, in nats.
        hypotheses: H token sequences without blanks; an empty one is allowed.

    Returns:
        Shape (H,), float64, on the device of ``log_probs``; -inf where no
        alignment exists. Over all hypotheses, the probabilities sum to 1.

    Raises:
        ValueError: a token is blank or beyond V.
    """
    num_frames, num_symbols = log_probs.shape
    for hypothesis in hypotheses:
        if not all(BLANK_ID < token < num_symbols for token in hypothesis):
            raise ValueError(f"tokens must be in 1..{num_symbols - 1}, got {list(hypothesis)}")
    if num_frames == 0 or not hypotheses:
        # Without frames there is one alignment, the empty one; torch refuses such input.
        scores = [-torch.inf if hypothesis else 0.0 for hypothesis in hypotheses]
        return torch.tensor(scores, dtype=torch.float64, device=log_probs.device)

    num_tokens = [len(hypothesis) for hypothesis in hypotheses]
    width = max(1, *num_tokens)
    targets = torch.tensor([[*h] + [BLANK_ID] * (width - len(h)) for h in hypotheses])  # (H, S)
    loss: Tensor = ctc_loss(
        log_probs.double()[:, None].expand(-1, len(hypotheses), -1),  # (T, H, V)
        targets.to(log_probs.device),
        torch.full((len(hypotheses),), num_frames),
        torch.tensor(num_tokens),
        blank=BLANK_ID,
        reduction="none",
    )
    return -loss


def rank(log_probs: Tensor, candidates: Iterable[tuple[int, ...]], num_best: int) -> list[Hypothesis]:
    """Return the ``num_best`` likeliest of ``candidates`` by exact score, each once, best first.

    Equal scores are in the order of their tokens. Impossible candidates are
    dropped. If none remains, the empty hypothesis is returned.

    Args:
        log_probs: shape (T, V), log-softmax of one utterance without padding, in nats.
        candidates: token sequences without blanks.
        num_best: maximum hypotheses returned, >= 1.

    Raises:
        ValueError: a token is blank or beyond V.
    """
    unique = sorted(set(candidates)) or [()]
    scores: list[float] = hypothesis_log_prob(log_probs, unique).tolist()
    scored = zip(unique, scores, strict=True)
    hypotheses = [_scored(tokens, score) for tokens, score in scored if score > -torch.inf]
    hypotheses.sort(key=lambda hypothesis: -hypothesis.log_prob)  # stable: equal ones stay sorted by tokens
    return hypotheses[:num_best] or [_scored((), hypothesis_log_prob(log_probs, [()]).item())]


def _scored(tokens: tuple[int, ...], log_prob: float) -> Hypothesis:
    return Hypothesis(tokens, log_prob, parts={"ctc": log_prob, "length": float(len(tokens))})
