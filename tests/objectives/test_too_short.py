"""What CTC drops, against the loss itself: PyTorch's is infinite exactly for these sequences."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from asrkd.data.cuts.records import CutRecord, FeatureKind
from asrkd.objectives.too_short import TooShort, encoder_frames, frames_needed

KIND = FeatureKind("fbank", 80, 0.01, 16000)


def record(cut_id: str, duration: float) -> CutRecord:
    return CutRecord(cut_id, "", "r", duration, 16000, ("A",), ("s",), KIND)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=6), st.integers(1, 12))
def test_the_loss_is_infinite_where_frames_are_missing(tokens, frames):
    log_probs = torch.full((frames, 1, 4), 0.25).log()
    loss = torch.nn.functional.ctc_loss(
        log_probs,
        torch.tensor([tokens]),
        torch.tensor([frames]),
        torch.tensor([len(tokens)]),
        reduction="none",
    )
    assert (frames_needed(tokens) <= frames) == bool(loss.isfinite())


def test_frames_are_10_ms_and_encoder_frames_40_ms():
    assert [encoder_frames(record("a", seconds), 4) for seconds in (0.04, 0.05, 0.08, 0.22, 1.0)] == [
        1,
        2,
        2,
        6,
        25,
    ]


def test_a_cut_is_lost_with_its_last_hypothesis():
    counted = TooShort(4)
    for cut, tokens in (
        (record("a", 0.08), [1, 2, 3]),
        (record("a", 0.08), [1]),
        (record("b", 0.08), [1, 1]),
    ):
        counted.add(cut, tokens)
    (line,) = counted.lines("ctc")
    assert "2 of 3 token sequences" in line
    assert "all of 1 cuts (0.000 h), e.g. b (0.08 s, 2 encoder frames, 3 needed)" in line
    counted.refuse_all("ctc")  # a's second one is left


def test_nothing_is_said_where_nothing_is_dropped():
    counted = TooShort(4)
    counted.add(record("a", 1.0), [1, 2])
    assert counted.lines("ctc") == []
