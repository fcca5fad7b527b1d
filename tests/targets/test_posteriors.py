"""Posteriors of all tokens and of the likeliest ones: the same events, padded alike, tokens never copied."""

import pytest
import torch

from asrkd.targets.posteriors import PosteriorTargets, top_tokens

COUNTS = (4, 2)


def log_probs() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(count, 5, generator=generator).log_softmax(-1) for count in COUNTS]


def by_token(targets: PosteriorTargets) -> dict[tuple[int, int, int], float]:
    """Probabilities by utterance, frame and token, of real frames; -1 stands for all other tokens."""
    return {
        (row, frame, token): float(targets.log_probs[row, frame, place].exp())
        for row, count in enumerate(targets.num_frames.tolist())
        for frame in range(count)
        for place, token in enumerate([*targets.tokens[row, frame].tolist(), -1])
    }


def test_all_tokens_in_order_are_the_events_of_as_many_ranked_ones():
    values, tokens = zip(*(top_tokens(frames, 5) for frames in log_probs()), strict=True)
    ranked, ordered = PosteriorTargets.of_some(values, tokens), PosteriorTargets.of_all(log_probs())
    assert by_token(ordered) == by_token(ranked)
    assert ordered.tokens.tolist() == [[[0, 1, 2, 3, 4]] * 4] * 2
    assert ordered.num_frames.tolist() == ranked.num_frames.tolist() == list(COUNTS)
    for targets in (ranked, ordered):
        assert targets.log_probs.shape == (2, 4, 6)
        assert not targets.log_probs[1, 2:].any()


def test_half_precision_is_widened():
    halves = [frames.half() for frames in log_probs()]
    targets = PosteriorTargets.of_all(halves)
    assert targets.log_probs.dtype == torch.float32
    assert torch.equal(targets.log_probs[1, :2, :5], halves[1].float())


@pytest.mark.parametrize("moved", [False, True])
def test_tokens_in_order_take_the_memory_of_one_frame(moved):
    targets = PosteriorTargets.of_all(log_probs())
    targets = targets.to(torch.device("cpu")) if moved else targets
    mask = torch.tensor([[True, True, False], [False, True, False]])
    values, tokens = targets.frames(mask)
    for view in (targets.tokens, tokens):
        assert view.storage().size() == 5
    assert tokens.tolist() == [[0, 1, 2, 3, 4]] * 3
    assert torch.equal(values, torch.stack([*targets.log_probs[0, :2], targets.log_probs[1, 1]]))


def test_frames_of_ranked_tokens_have_their_tokens():
    values, tokens = zip(*(top_tokens(frames, 2) for frames in log_probs()), strict=True)
    targets = PosteriorTargets.of_some(values, tokens)
    masked = targets.frames(torch.tensor([[False, True], [True, False]]))
    assert torch.equal(masked[0], torch.stack([values[0][1], values[1][0]]))
    assert masked[1].tolist() == [tokens[0][1].tolist(), tokens[1][0].tolist()]
