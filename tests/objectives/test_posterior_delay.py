"""Delays of a streaming student in objectives on posteriors: those of the shifted student, and no more."""

import pytest
import torch

from asrkd.objectives import ObjectiveEntry, kinds
from tests.objectives.posteriors import COUNTS, V, output_of, randn, source, student, top

NAMES = ("softmax", "kl", "guided_ctc")


def objective(name: str, delay: int):
    kind = kinds()[name]
    return kind.build(kind.config(targets="store", delay=delay), source(), student())


@pytest.mark.parametrize("delay", [1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_a_delay_compares_the_frames_after_it(name, delay):
    logits, targets = randn(2, 4, V), top(randn(2, 4, V, seed=2).log_softmax(-1), COUNTS, 3)
    later = [max(count - delay, 0) for count in COUNTS]
    delayed, usual = objective(name, delay), objective(name, 0)
    shifted = output_of(logits[:, delay:], later)
    torch.testing.assert_close(delayed(output_of(logits, COUNTS), targets), usual(shifted, targets))
    counts = torch.tensor(COUNTS)
    assert delayed.count(targets, counts) == usual.count(targets, torch.tensor(later))


@pytest.mark.parametrize("name", NAMES)
def test_a_student_that_lags_by_the_delay_matches_exactly(name):
    log_probs = (8 * randn(1, 6, V)).log_softmax(-1)
    lagging = torch.cat([randn(1, 2, V, seed=4), log_probs[:, :4]], dim=1)
    loss = objective(name, 2)(output_of(lagging, [6]), top(log_probs, [6], V))
    if name == "guided_ctc":
        spikes = [frame for frame in log_probs[0, :4] if int(frame.argmax())]
        assert float(loss) == pytest.approx(sum(1 - float(frame.max().exp()) for frame in spikes), abs=1e-6)
    else:
        assert float(loss) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_an_utterance_shorter_than_the_delay_counts_nothing(name):
    logits, targets = randn(2, 4, V), top(randn(2, 4, V, seed=2).log_softmax(-1), COUNTS, 3)
    delayed = objective(name, 9)
    assert float(delayed(output_of(logits, COUNTS), targets)) == 0
    assert delayed.count(targets, torch.tensor(COUNTS)) == 0


def test_no_delay_changes_no_dump():
    dumped = ObjectiveEntry.model_validate({"kl": {"targets": "x"}}).model_dump(mode="json")
    assert "delay" not in dumped["kl"]
