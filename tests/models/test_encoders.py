"""Encoders of every kind against padding, neighbors, and torch's own modules on one utterance."""

import pytest
import torch
from torch import nn

from asrkd.core.errors import AsrkdError
from asrkd.models.attention import CrossAttention
from asrkd.models.config import EncoderConfig, LasEncoderConfig
from asrkd.models.encoder import Tap
from asrkd.models.front_end import num_encoder_frames
from asrkd.models.las import LasEncoder, LasFrontEnd
from asrkd.models.masks import frame_mask
from asrkd.models.recognizer import build_encoder
from tests.models.padding import check_padding
from tests.models.small import ENCODERS, recognizer

COUNTS = torch.tensor([61, 40, 9])
KINDS = [kind for kind in ENCODERS if kind != "conformer"]  # of which tests/models/test_conformer.py is


@pytest.fixture
def features() -> torch.Tensor:
    """(N=3, T=61, F=20)"""
    return torch.randn(3, 61, 20, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 1e9])
def test_padding_changes_neither_outputs_nor_gradients(features, kind, garbage):
    model = recognizer(kind, None, ctc=True).encoder
    check_padding(model, features, COUNTS, [Tap(1, "before_norm")], garbage)


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_of_an_utterance_removes_what_a_channel_adds(features, kind):
    sizes = ENCODERS[kind][kind] | {"utterance_mean": True}
    torch.manual_seed(3)
    model = build_encoder(EncoderConfig(**{kind: sizes}), 20).eval()
    channels = torch.randn(3, 1, 20, generator=torch.Generator().manual_seed(6))
    outputs = [model(values, COUNTS).frames for values in (features, features + channels)]
    real = frame_mask(num_encoder_frames(COUNTS, 4), outputs[0].shape[1])
    torch.testing.assert_close(outputs[0][real], outputs[1][real], rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_an_utterance_alone_and_in_a_batch_give_the_same(features, kind):
    model = recognizer(kind, None, ctc=True).encoder
    together = model(features, COUNTS)
    assert together.num_frames.tolist() == num_encoder_frames(COUNTS, 4).tolist()
    for row, count in enumerate(COUNTS.tolist()):
        alone = model(features[row : row + 1, :count], COUNTS[row : row + 1])
        frames = int(together.num_frames[row])
        assert alone.frames.shape[1] == frames
        torch.testing.assert_close(together.frames[row, :frames], alone.frames[0], rtol=0, atol=1e-5)


def test_recurrent_layers_equal_torchs_bidirectional_gru(features):
    model = LasEncoder(LasEncoderConfig(num_layers=2, dim=4, channels=2, kernel_size=(3, 4)), 20).eval()
    together = model(features, COUNTS)
    for row, count in enumerate(COUNTS.tolist()):
        frames, _ = model.front_end(features[row : row + 1, :count], COUNTS[row : row + 1])
        for layer in model.layers:
            frames, _ = layer(frames)
        found = together.frames[row, : int(together.num_frames[row])]
        torch.testing.assert_close(found, frames[0], rtol=0, atol=1e-5)


def test_las_frame_k_is_centered_on_feature_frame_4k():
    front = LasFrontEnd(20, 2, (5, 4))
    for parameter in (front.first.weight, front.second.weight):
        nn.init.constant_(parameter, 0.1)  # all positive: an impulse cannot cancel out
    silence = torch.zeros(1, 61, 20)
    impulse = silence.clone()
    impulse[:, 24] = 5.0
    base, _ = front(silence, COUNTS[:1])
    answer = (front(impulse, COUNTS[:1])[0] - base).abs().sum(-1)[0]
    assert int(answer.argmax()) == 6
    torch.testing.assert_close(answer[5], answer[7])  # symmetric around it


def test_transformer_taps_have_a_norm_after_the_last_layer(features):
    model = recognizer("transformer", None, ctc=True).encoder
    output = model(features, COUNTS, [Tap(1, "before_norm"), Tap(2, "before_norm"), Tap(2)])
    torch.testing.assert_close(model.norm(output.tapped[Tap(2, "before_norm")]), output.frames)
    torch.testing.assert_close(output.tapped[Tap(2)], output.frames)
    with pytest.raises(ValueError, match="layer 1 of this encoder has no after_norm: take before_norm"):
        model(features, COUNTS, [Tap(1)])


def test_a_layer_that_is_not_there_is_refused(features):
    with pytest.raises(ValueError, match="layer 3: the encoder has layers 1 to 2"):
        recognizer("las", None, ctc=True).encoder(features, COUNTS, [Tap(3, "before_norm")])


def test_too_few_features_for_the_convolutions_are_a_line():
    with pytest.raises(AsrkdError, match=r"8 features are too few .* kernel_size: \[5, 2\]"):
        LasEncoder(LasEncoderConfig(), 8)


def test_attention_equals_torchs_multi_head_attention():
    torch.manual_seed(1)
    own, theirs = CrossAttention(8, 6, 2, 0.0), nn.MultiheadAttention(8, 2, kdim=6, vdim=6, batch_first=True)
    key, value = own.key_value.weight.chunk(2)
    for parameter, source in (
        (theirs.q_proj_weight, own.query.weight), (theirs.k_proj_weight, key), (theirs.v_proj_weight, value),
        (theirs.in_proj_bias, torch.cat([own.query.bias, own.key_value.bias])),
        (theirs.out_proj.weight, own.out.weight), (theirs.out_proj.bias, own.out.bias),
    ):  # fmt: skip
        parameter.data.copy_(source)
    asking, frames, mask = torch.randn(2, 3, 8), torch.randn(2, 5, 6), frame_mask(torch.tensor([5, 2]), 5)
    found = own(asking, *own.memory(frames), mask[:, None])
    expected, _ = theirs(asking, frames, frames, key_padding_mask=~mask)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kind", ENCODERS)
def test_any_encoder_goes_with_a_head_a_decoder_or_both(features, kind):
    for decoder, ctc in ((None, True), ("transformer", False), ("las", True)):
        model = recognizer(kind, decoder, ctc=ctc)
        output = model(features, COUNTS)
        assert (model.has_ctc, model.has_decoder) == (ctc, decoder is not None)
        assert output.memory().shape == (3, 16, model.dim)
        assert (output.logits is None) == (not ctc)
