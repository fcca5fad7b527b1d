"""log P(hypothesis | audio) under CTC: exact, over all alignments.

Source: Graves et al., "Connectionist Temporal Classification", ICML 2006,
equation 3 and section 4.1; PyTorch's CTC loss sums it.

A beam's own sums miss the alignments that it pruned, and a lattice path's
score is that of one alignment, so what a search finds is scored here.

Letters: H hypotheses, T frames of one utterance, V symbols with blank at 0,
S tokens of the longest hypothesis.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import ctc_loss

from asrkd.decoding.hypothesis import Hypothesis
from asrkd.decoding.log_probs import BLANK


@torch.no_grad()
def hypothesis_log_prob(log_probs: Tensor, hypotheses: Sequence[Sequence[int]]) -> Tensor:
    """Exact log-probability of each hypothesis, in nats.

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
        if not all(BLANK < token < num_symbols for token in hypothesis):
            raise ValueError(f"tokens must be in 1..{num_symbols - 1}, got {list(hypothesis)}")
    if num_frames == 0 or not hypotheses:
        # No frames have one alignment, the empty one; torch refuses such input.
        scores = [-torch.inf if hypothesis else 0.0 for hypothesis in hypotheses]
        return torch.tensor(scores, dtype=torch.float64, device=log_probs.device)

    num_tokens = [len(hypothesis) for hypothesis in hypotheses]
    width = max(1, *num_tokens)
    targets = torch.tensor([[*h] + [BLANK] * (width - len(h)) for h in hypotheses])  # (H, S)
    loss: Tensor = ctc_loss(
        log_probs.double()[:, None].expand(-1, len(hypotheses), -1),  # (T, H, V)
        targets.to(log_probs.device),
        torch.full((len(hypotheses),), num_frames),
        torch.tensor(num_tokens),
        blank=BLANK,
        reduction="none",
    )
    return -loss


def rank(log_probs: Tensor, candidates: Iterable[tuple[int, ...]], num_best: int) -> list[Hypothesis]:
    """The ``num_best`` likeliest of ``candidates`` by exact score, each once, best first.

    Equal scores are in the order of their tokens. What cannot be is left
    out, unless nothing else remains: there is always at least one
    hypothesis, if need be the empty one.

    Args:
        log_probs: shape (T, V), log-softmax of one utterance without padding, in nats.
        candidates: token sequences without blanks.
        num_best: hypotheses returned at most, >= 1.

    Raises:
        ValueError: a token is blank or beyond V.
    """
    unique = sorted(set(candidates)) or [()]
    scores: list[float] = hypothesis_log_prob(log_probs, unique).tolist()
    scored = zip(unique, scores, strict=True)
    found = [_scored(tokens, score) for tokens, score in scored if score > -torch.inf]
    found.sort(key=lambda hypothesis: -hypothesis.log_prob)  # stable: equal ones stay sorted by tokens
    return found[:num_best] or [_scored((), hypothesis_log_prob(log_probs, [()]).item())]


def _scored(tokens: tuple[int, ...], log_prob: float) -> Hypothesis:
    return Hypothesis(tokens, log_prob, parts={"ctc": log_prob, "length": float(len(tokens))})
