"""Students, teachers and posterior targets of a few frames, for the tests of objectives on posteriors."""

from types import SimpleNamespace

import torch

from asrkd.models.recognizer import RecognizerOutput
from asrkd.targets.posteriors import PosteriorTargets, top_tokens

COUNTS = [4, 2]  # frames of two utterances
V = 7


def randn(*shape: int, seed: int = 1, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def student(frame_shift: float = 0.04) -> SimpleNamespace:
    return SimpleNamespace(frame_shift=frame_shift, has_ctc=True)


def source(*, has_all_tokens: bool = True) -> SimpleNamespace:
    return SimpleNamespace(frame_shift=0.04, has_all_tokens=has_all_tokens)


def output_of(logits: torch.Tensor, counts: list[int]) -> RecognizerOutput:
    return RecognizerOutput(logits, torch.tensor(counts), {})


def top(log_probs: torch.Tensor, counts: list[int], top_k: int) -> PosteriorTargets:
    """Targets as a store of the ``top_k`` best tokens gives them."""
    kept = [top_tokens(utterance, top_k) for utterance in log_probs]
    return PosteriorTargets(
        torch.stack([values for values, _ in kept]),
        torch.stack([tokens.long() for _, tokens in kept]),
        torch.tensor(counts),
    )


def check_padding(objective, top_k: int = 3) -> None:
    """Assert that NaN in padding, of the student and of the targets, changes neither value nor gradient."""
    results = []
    for fill in (0.0, float("nan")):
        logits, targets = randn(2, 4, V), top(randn(2, 4, V, seed=2).log_softmax(-1), COUNTS, top_k)
        for values in (logits, targets.log_probs):
            values[1, 2:] = fill
        logits.requires_grad_()
        loss = objective(output_of(logits, COUNTS), targets)
        loss.backward()
        assert not logits.grad[1, 2:].any()
        results.append((loss.detach(), logits.grad[1, :2], logits.grad[0]))
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)
        assert one.isfinite().all()
        assert one.any()
