"""The CTC objective against all alignments written out, hostile padding, and k copies of an utterance."""

import itertools

import pytest
import torch

from asrkd.models.recognizer import RecognizerOutput
from asrkd.objectives.ctc import Ctc, alignable, ctc_sum
from asrkd.targets.sequences import collate


def collapse(path: tuple[int, ...]) -> list[int]:
    return [token for token, _ in itertools.groupby(path) if token != 0]


def brute_force(log_probs: torch.Tensor, tokens: list[int]) -> float:
    """-log of the summed probability of every path that collapses to ``tokens``."""
    frames, size = log_probs.shape
    total = sum(
        float(log_probs[range(frames), path].sum().exp())
        for path in map(list, itertools.product(range(size), repeat=frames))
        if collapse(tuple(path)) == tokens
    )
    return -torch.tensor(total, dtype=torch.float64).log().item()


@pytest.fixture
def log_probs() -> torch.Tensor:
    """(N=2, T=4, V=3)"""
    return torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(1)).log_softmax(-1)


def test_equals_the_sum_over_all_alignments(log_probs):
    targets = collate([[[1, 2]], [[2]]])
    expected = brute_force(log_probs[0], [1, 2]) + brute_force(log_probs[1, :3], [2])
    assert float(ctc_sum(log_probs, torch.tensor([4, 3]), targets)) == pytest.approx(expected, rel=1e-5)


def test_hypotheses_of_an_utterance_share_its_weight_equally(log_probs):
    targets = collate([[[1, 2], [1], []], [[2, 1]]])
    expected = sum(brute_force(log_probs[0], tokens) for tokens in ([1, 2], [1], [])) / 3
    expected += brute_force(log_probs[1], [2, 1])
    assert float(ctc_sum(log_probs, torch.tensor([4, 4]), targets)) == pytest.approx(expected, rel=1e-5)


def test_a_transcript_repeated_as_hypotheses_is_the_transcript(log_probs):
    once, thrice = collate([[[1, 2]], [[2]]]), collate([[[1, 2]] * 3, [[2]]])
    num_frames = torch.tensor([4, 4])
    torch.testing.assert_close(ctc_sum(log_probs, num_frames, once), ctc_sum(log_probs, num_frames, thrice))
    assert Ctc(4).count(once, num_frames) == pytest.approx(Ctc(4).count(thrice, num_frames))


@pytest.mark.parametrize("garbage", [0.0, float("nan"), float("inf")])
def test_padding_changes_neither_value_nor_gradient(garbage):
    logits = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(2))
    num_frames, targets = torch.tensor([5, 2]), collate([[[1, 2, 1]], [[2]]])
    values, gradients = [], []
    for fill in (1.0, garbage):
        z = logits.clone()
        z[1, 2:] = fill
        z.requires_grad_()
        loss = Ctc(4)(RecognizerOutput(z, num_frames, {}), targets)
        loss.backward()
        values.append(loss.detach())
        gradients.append(z.grad[0].clone())
        real = z.grad[1, :2]
        assert real.isfinite().all()
        gradients[-1] = torch.cat([gradients[-1].flatten(), real.flatten()])
    assert torch.equal(*values)
    assert torch.equal(*gradients)


def test_too_long_sequences_are_left_out_of_sum_and_count(log_probs):
    targets = collate([[[1, 1, 1]], [[2]]])  # 1 1 1 needs five frames
    num_frames = torch.tensor([4, 4])
    assert alignable(targets, num_frames).tolist() == [False, True]
    only = ctc_sum(log_probs[1:], num_frames[1:], collate([[[2]]]))
    torch.testing.assert_close(ctc_sum(log_probs, num_frames, targets), only)
    assert Ctc(4).count(targets, num_frames) == 1.0


@pytest.mark.parametrize("tokens", [[], [1], [1, 1], [1, 2, 2, 1], [2, 2, 2]])
@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5])
def test_alignable_says_when_there_is_a_path(tokens, frames):
    paths = itertools.product(range(3), repeat=frames)
    exists = any(collapse(path) == tokens for path in paths)
    assert alignable(collate([[tokens]]), torch.tensor([frames])).tolist() == [exists]


def test_nothing_that_fits_gives_zero_and_not_an_error(log_probs):
    targets = collate([[[1, 1, 1]]])
    assert float(ctc_sum(log_probs[:1], torch.tensor([4]), targets)) == 0.0
