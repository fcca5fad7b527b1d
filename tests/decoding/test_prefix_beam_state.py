"""One frame of the beam search."""

import pytest
import torch

from asrkd.decoding import prefix_beam_state

CPU = torch.device("cpu")


def run(log_probs: torch.Tensor, beam: int) -> prefix_beam_state.BeamState:
    """All frames of (N, T, V) posteriors, every token allowed."""
    num_utterances, num_frames, num_symbols = log_probs.shape
    tokens = prefix_beam_state.FrameTokens(torch.arange(1, num_symbols).expand(num_utterances, -1))
    state = prefix_beam_state.start(num_utterances, beam, CPU)
    for t in range(num_frames):
        state, _, _ = prefix_beam_state.advance(state, log_probs[:, t].double().exp(), tokens)
    return state


def test_the_search_starts_with_the_empty_prefix():
    assert prefix_beam_state.start(2, 3, CPU).total.tolist() == [[1.0, 0.0, 0.0]] * 2


@pytest.mark.parametrize("num_frames", [1, 2, 5])
def test_no_probability_is_lost_in_a_beam_that_holds_all(random_posteriors, num_frames):
    total = run(random_posteriors(0, (2, num_frames, 4)), beam=4**num_frames).total
    assert total.sum(dim=1).tolist() == pytest.approx([1.0, 1.0], abs=1e-6)


def test_a_narrow_beam_loses_probability_and_gains_none(random_posteriors):
    total = run(random_posteriors(0, (2, 12, 6)), beam=4).total
    assert (total.sum(dim=1) < 1.0).all()


def test_a_beam_holds_every_prefix_once_under_its_own_hash(by_hand, random_posteriors):
    log_probs = random_posteriors(1, (1, 6, 4))
    state = run(log_probs, beam=900)
    possible = state.total[0] > 0
    hashes = state.prefix_hash[0, possible].tolist()
    assert len(set(hashes)) == len(hashes) == len(by_hand(log_probs[0]))


def test_blank_and_nonblank_endings_by_hand():
    state = run(torch.tensor([[[0.6, 0.4], [0.7, 0.3]]]).log(), beam=3)
    endings = {
        int(last): (blank, nonblank)
        for last, blank, nonblank in zip(
            state.last[0].tolist(), state.blank[0].tolist(), state.nonblank[0].tolist(), strict=True
        )
        if max(blank, nonblank) > 0
    }
    assert endings[0] == pytest.approx((0.6 * 0.7, 0.0))
    assert endings[1] == pytest.approx((0.4 * 0.7, 0.4 * 0.3 + 0.6 * 0.3))


def test_scaling_changes_no_ratio(random_posteriors):
    state = run(random_posteriors(0, (2, 12, 6)), beam=4)
    scaled = prefix_beam_state.rescaled(state)
    assert scaled.total[:, 0].tolist() == pytest.approx([1.0, 1.0])
    torch.testing.assert_close(scaled.total * state.total[:, :1], state.total)
    torch.testing.assert_close(scaled.blank * state.total[:, :1], state.blank)
