"""Training against bounds from theory, against residual k-means, and on data of any offset and scale."""

import copy
import dataclasses
import time

import pytest
import torch

from asrkd.core.errors import AsrkdError, StoppedInTime
from asrkd.core.progress import Meter
from asrkd.core.stopping import StopRequest
from asrkd.quantizer.fit.training import QuantizerCheckpoint, train_quantizer
from asrkd.quantizer.options import QuantizerOptions
from asrkd.quantizer.report import relative_error
from tests.stop_after import StopAfter

TINY = QuantizerOptions(
    num_codebooks=2, codebook_size=16, phase_one_steps=40, phase_two_steps=20, batch_frames=256
)


@pytest.fixture(scope="module")
def speechlike():
    """Correlated frames (4000, 16), bent by a nonlinearity."""
    generator = torch.Generator().manual_seed(7)
    mixing = torch.randn(6, 16, generator=generator)
    return torch.tanh(torch.randn(4000, 6, generator=generator) @ mixing)


@pytest.fixture(scope="module")
def trained(speechlike):
    """The tiny quantizer of these frames, and its report."""
    return train_quantizer(speechlike, TINY)


def kmeans_error(frames, unseen, codebook_size):
    """Relative error on unseen frames of one codebook from Lloyd's algorithm."""
    mean = frames.mean(dim=0)
    centers = frames[:codebook_size].clone()
    for _ in range(20):
        assigned = torch.cdist(frames, centers).argmin(dim=1)
        for entry in assigned.unique():
            centers[entry] = frames[assigned == entry].mean(dim=0)
    nearest = torch.cdist(unseen, centers).min(dim=1).values
    return float(nearest.square().sum() / (unseen - mean).square().sum())


def test_two_codebooks_beat_kmeans_with_twice_the_entries(speechlike):
    frames, unseen = speechlike[:3000], speechlike[3000:]
    quantizer, _ = train_quantizer(frames, TINY)
    error = relative_error(quantizer, unseen, quantizer.encode(unseen))
    assert error < 0.8 * kmeans_error(frames, unseen, 32)


def test_a_gaussian_respects_the_rate_distortion_bound(generator):
    frames = torch.randn(4000, 8, generator=generator)
    report = train_quantizer(frames, TINY)[1]
    assert report.shannon_bound == pytest.approx(2 ** (-2 * 8 / 8), rel=0.02)
    assert report.shannon_bound < report.held_out_errors[-1] < 0.6  # 0.25; 8 bits on as many signs give 0.36


def test_a_few_distinct_frames_are_learned_exactly(generator):
    distinct = torch.randn(8, 24, generator=generator)
    report = train_quantizer(distinct[torch.randint(8, (2000,), generator=generator)], TINY)[1]
    assert report.held_out_errors[-1] < 1e-3


def test_an_offset_is_not_counted_as_described(speechlike, trained):
    """The reference package reports 0.0005 where the error about the true mean is 0.76."""
    centered = trained[1].held_out_errors[-1]
    quantizer, report = train_quantizer(speechlike + 20, TINY)
    assert report.held_out_errors[-1] == pytest.approx(centered, rel=0.1)
    frames = speechlike + 20
    error = (quantizer.decode(quantizer.encode(frames)) - frames).square().sum()
    assert float(error / (frames - frames.mean(dim=0)).square().sum()) == pytest.approx(centered, rel=0.15)


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_the_unit_of_the_embeddings_does_not_matter(speechlike, trained, scale):
    plain = trained[1].held_out_errors
    scaled = train_quantizer(speechlike * scale, TINY)[1].held_out_errors
    assert scaled == pytest.approx(plain, rel=0.1)


def test_refinements_and_steps_help(speechlike, trained):
    quantizer, report = trained
    assert list(report.held_out_errors) == sorted(report.held_out_errors, reverse=True)
    short = train_quantizer(speechlike, dataclasses.replace(TINY, phase_one_steps=1, phase_two_steps=1))[1]
    assert report.held_out_errors[-1] < short.held_out_errors[-1]
    everything = relative_error(quantizer, speechlike, quantizer.encode(speechlike))
    assert report.held_out_errors[-1] == pytest.approx(everything, rel=0.15)


def test_the_same_seed_gives_the_same_bits_and_another_others(speechlike, trained):
    torch.manual_seed(0)
    expected_draw = torch.rand(3)
    torch.manual_seed(0)
    again, report = train_quantizer(speechlike, TINY)
    assert torch.equal(torch.rand(3), expected_draw)  # torch's own random state is untouched
    assert report == trained[1]
    first = trained[0].state_dict()
    assert all(torch.equal(value, first[name]) for name, value in again.state_dict().items())
    other, _ = train_quantizer(speechlike, dataclasses.replace(TINY, seed=2))
    assert not torch.equal(other.centers, trained[0].centers)


def test_a_request_to_stop_is_heard(speechlike):
    request = StopRequest(time_limit_s=0.0)
    time.sleep(0.001)
    with pytest.raises(StoppedInTime, match="stopped by time limit: the unfinished quantizer is not saved"):
        train_quantizer(speechlike, TINY, stop=request)


@pytest.mark.parametrize("codebook_size", [16, 11])
def test_stopped_after_any_step_it_goes_on_to_the_same_bits(speechlike, tmp_path, codebook_size):
    options = dataclasses.replace(TINY, phase_one_steps=7, phase_two_steps=6, codebook_size=codebook_size)
    expected, report = train_quantizer(speechlike, options)
    for step in range(1, 14):
        checkpoint = QuantizerCheckpoint(tmp_path / f"{step}.safetensors")
        with pytest.raises(StoppedInTime, match=f"the quantizer is at step {step} of 13"):
            train_quantizer(speechlike, options, stop=StopAfter(step - 1), checkpoint=checkpoint)
        again, its_report = train_quantizer(speechlike, options, checkpoint=checkpoint)
        assert its_report == report
        for name, value in expected.state_dict().items():
            assert torch.equal(again.state_dict()[name], value), (step, name)


def test_a_kill_between_checkpoints_resumes_from_the_last(speechlike, tmp_path, monkeypatch):
    options = dataclasses.replace(TINY, phase_one_steps=3, phase_two_steps=6)
    made = []
    monkeypatch.setattr(QuantizerCheckpoint, "save", lambda self, state: made.append(copy.deepcopy(state)))
    checkpoint = QuantizerCheckpoint(tmp_path / "c", every_s=0.0)
    expected, _ = train_quantizer(speechlike, options, checkpoint=checkpoint)
    assert [int(state["step"]) for state in made] == list(range(1, 10))
    for state in made:
        monkeypatch.setattr(QuantizerCheckpoint, "load", lambda self, state=state: copy.deepcopy(state))
        again, _ = train_quantizer(speechlike, options, checkpoint=checkpoint)
        assert torch.equal(again.centers, expected.centers)


def test_broken_and_foreign_checkpoints_are_not_resumed(speechlike, tmp_path):
    checkpoint = QuantizerCheckpoint(tmp_path / "c.safetensors")
    with pytest.raises(StoppedInTime):
        train_quantizer(speechlike, TINY, stop=StopAfter(4), checkpoint=checkpoint)
    smaller = dataclasses.replace(TINY, num_codebooks=1, phase_one_steps=3, phase_two_steps=3)
    expected, _ = train_quantizer(speechlike, smaller)
    found, _ = train_quantizer(speechlike, smaller, checkpoint=checkpoint)
    assert torch.equal(found.centers, expected.centers)
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:100])
    found, _ = train_quantizer(speechlike, smaller, checkpoint=checkpoint)
    assert torch.equal(found.centers, expected.centers)


@pytest.mark.parametrize(("num_codebooks", "codebook_size"), [(1, 2), (3, 5), (5, 17), (2, 200), (7, 3)])
def test_any_number_of_codebooks_of_any_size(speechlike, num_codebooks, codebook_size):
    options = dataclasses.replace(TINY, num_codebooks=num_codebooks, codebook_size=codebook_size)
    quantizer, report = train_quantizer(speechlike, options)
    assert (quantizer.num_codebooks, quantizer.codebook_size) == (num_codebooks, codebook_size)
    assert report.held_out_errors[-1] < min(1.0, 3 * report.shannon_bound**0.7)
    assert int(quantizer.encode(speechlike).max()) < codebook_size


def test_progress_is_counted_in_steps(speechlike):
    class Counter(Meter):
        def _show(self) -> None:
            pass

    counter = Counter("quantizer", TINY.steps, "steps")
    train_quantizer(speechlike, TINY, meter=counter)
    assert counter.done == TINY.steps == 60
    assert counter.note.startswith("relative error 0.")


def test_frames_that_cannot_be_learned_from_are_refused():
    with pytest.raises(AsrkdError, match="20 frames, expected at least 32 for codebooks of 16 entries"):
        train_quantizer(torch.randn(20, 4), TINY)
    with pytest.raises(AsrkdError, match="all frames are equal"):
        train_quantizer(torch.full((100, 4), 3.0), TINY)
    broken = torch.randn(100, 4)
    broken[17] = float("nan")
    with pytest.raises(AsrkdError, match="frame 17 of 100 has a NaN"):
        train_quantizer(broken, TINY)


def test_few_frames_are_enough_not_to_fail(generator):
    report = train_quantizer(torch.randn(40, 4, generator=generator), TINY)[1]
    assert (report.num_frames, report.held_out_frames) == (38, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_codebooks": 0}, "num_codebooks must be 1 to 64, got 0"),
        ({"num_codebooks": 65}, "num_codebooks must be 1 to 64, got 65"),
        ({"codebook_size": 257}, "codebook_size must be 2 to 256, got 257"),
        ({"phase_one_steps": 0}, "phase_one_steps must be positive, got 0"),
        ({"learning_rate": -1.0}, "learning_rate must be positive, got -1.0"),
        ({"held_out_share": 1.0}, "held_out_share must be between 0 and 1, got 1.0"),
    ],
)
def test_options_out_of_range_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TINY, **change)
