"""Rates of encoder frames: of every encoder, that frames are counted, placed and kept apart by one rule."""

import math

import pytest
import torch

from asrkd.models.config import EncoderConfig
from asrkd.models.encoder import Encoder, Tap
from asrkd.models.frame_timing import expected_frames, front_end_rule, offset_problem
from asrkd.models.recognizer import build_encoder
from asrkd.teachers.asrkd_model import AsrkdTeacher
from tests.models.padding import check_padding
from tests.models.small import ENCODERS, FEATURES, recognizer

COUNTS = torch.tensor([61, 40, 9])
RATES = [(kind, rate) for kind in ENCODERS for rate in (1, 2, 4, 8)]


def encoder(kind: str, rate: int) -> Encoder:
    return recognizer(kind, None, ctc=True, subsampling=rate).encoder


@pytest.fixture
def features() -> torch.Tensor:
    """(N=3, T=61, F=20)"""
    return torch.randn(3, 61, 20, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize(("kind", "rate"), RATES)
def test_padding_of_nan_changes_no_bit(features, kind, rate):
    model = encoder(kind, rate)
    check_padding(model, features, COUNTS, [Tap(1, model.places(1)[0])], float("nan"))


@pytest.mark.parametrize(("kind", "rate"), RATES)
def test_an_utterance_alone_and_in_a_batch_give_the_same(features, kind, rate):
    model = encoder(kind, rate)
    together = model(features, COUNTS)
    for row, count in enumerate(COUNTS.tolist()):
        alone = model(features[row : row + 1, :count], COUNTS[row : row + 1])
        frames = math.ceil(count / rate)
        assert (int(together.num_frames[row]), alone.frames.shape[1]) == (frames, frames)
        torch.testing.assert_close(together.frames[row, :frames], alone.frames[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("kind", "rate"), RATES)
@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 17])
def test_frames_are_counted_as_the_convolutions_give_them(kind, rate, count):
    model = encoder(kind, rate)
    output = model(torch.zeros(1, count, 20), torch.tensor([count]))
    rule = {"features": {"frame_shift": 0.01}, "length_rule": front_end_rule(rate)}
    assert output.frames.shape[1] == int(output.num_frames) == math.ceil(count / rate)
    assert expected_frames(rule, count * 0.01, 8000) == math.ceil(count / rate)


@pytest.mark.parametrize(("kind", "rate"), RATES)
def test_frame_k_sees_as_much_before_feature_frame_sk_as_after_it(kind, rate):
    """Its receptive field is symmetric, without a hole, and wide enough that all is seen.

    That of the front end, or of the first layer where that is the convolution which subsamples.
    """
    model = encoder(kind, rate)
    values, counts = torch.randn(1, 97, 20, requires_grad=True), torch.tensor([97])
    if kind in ("jasper", "quartznet"):
        frames = model(values, counts, [Tap(1)]).tapped[Tap(1)]
    else:
        frames, _ = model.front_end(values, counts)
    (gradient,) = torch.autograd.grad(frames[0, 48 // rate].square().sum(), values)
    seen = gradient[0].abs().sum(-1).nonzero().flatten().tolist()
    assert seen == list(range(seen[0], seen[-1] + 1))
    assert (seen[0] + seen[-1]) / 2 == 48
    assert len(seen) >= rate


@pytest.mark.parametrize("rate", [1, 2, 4, 8])
def test_causal_frame_k_ends_at_feature_frame_sk(rate):
    sizes = ENCODERS["conformer"]["conformer"] | {"causal": True, "chunk_frames": 1, "subsampling": rate}
    model = build_encoder(EncoderConfig(conformer=sizes), 20).eval()
    values = torch.randn(1, 97, 20, requires_grad=True)
    frames = model(values, torch.tensor([97])).frames
    (gradient,) = torch.autograd.grad(frames[0, 48 // rate].square().sum(), values)
    assert int(gradient[0].abs().sum(-1).nonzero().max()) == 48


@pytest.mark.parametrize("rate", [1, 2, 4, 8])
def test_a_recognizer_tells_its_frame_shift(rate):
    model = recognizer("conformer", None, ctc=True, subsampling=rate)
    assert model.frame_shift == pytest.approx(0.01 * rate)
    assert model.num_frames(COUNTS).tolist() == [math.ceil(count / rate) for count in COUNTS.tolist()]


def test_first_frames_may_lie_half_a_frame_of_a_faster_student_apart():
    contract = {"first_frame_offset": 0.0125, "offset_from": "start of the audio", "frame_shift": 0.02}
    fits = [offset_problem(contract, FEATURES, 0.01 * rate) is None for rate in (1, 2, 4, 8)]
    assert fits == [False, True, True, True]  # 7.5 ms apart, of 10 and of 20 ms


def test_dumps_of_models_at_the_usual_rate_are_as_before():
    plain = EncoderConfig(las={})
    assert "subsampling" not in plain.model_dump()["las"]
    assert EncoderConfig(las={"subsampling": 2}).model_dump()["las"]["subsampling"] == 2
    assert EncoderConfig.model_validate(plain.model_dump()) == plain


def test_the_contract_of_a_teacher_has_its_rate():
    class Loaded:
        path, weights_sha256 = "model", "0" * 64
        recognizer = recognizer("las", None, ctc=True, subsampling=2)
        architecture = recognizer.architecture

        class tokens:
            @staticmethod
            def identity() -> str:
                return "tokens"

    contract = AsrkdTeacher(Loaded()).contract()
    assert (contract["frame_shift"], contract["length_rule"]["divisor"]) == (0.02, 2)
