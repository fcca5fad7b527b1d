"""Jasper, QuartzNet and DeepSpeech2 against torch's own layers on one utterance without padding."""

import pytest
import torch
from torch import Tensor, nn

from asrkd.core.errors import AsrkdError
from asrkd.models.config import EncoderConfig
from asrkd.models.convolutional import ConvolutionalEncoder
from asrkd.models.deep_speech import DeepSpeech2
from asrkd.models.encoder import Encoder, Tap
from asrkd.models.masks import frame_mask
from asrkd.models.recognizer import build_encoder
from tests.models.small import ENCODERS, recognizer

COUNTS = torch.tensor([61, 40, 9])
NEW = ["jasper", "quartznet", "deepspeech2"]


def encoder(kind: str, **changes: object) -> Encoder:
    torch.manual_seed(3)
    return build_encoder(EncoderConfig(**{kind: ENCODERS[kind][kind] | changes}), 20).eval()


@pytest.fixture
def features() -> Tensor:
    """(N=3, T=61, F=20)"""
    return torch.randn(3, 61, 20, generator=torch.Generator().manual_seed(5))


def conv1d(frames: Tensor, convolution: nn.Module, sizes: dict[str, int], stride: int = 1) -> Tensor:
    """(T, C) frames through torch's Conv1d with the weights of a layer."""
    values, weight = frames.T[None], convolution.over_time
    if weight is not None:
        dilation = sizes.get("dilation", 1)
        values = nn.functional.conv1d(
            values,
            weight.weight[:, :, 0],
            stride=stride,
            padding=dilation * (sizes["kernel_size"] // 2),
            dilation=dilation,
            groups=values.shape[1] // weight.weight.shape[1],
        )
    if convolution.pointwise is not None:
        values = nn.functional.conv1d(values, convolution.pointwise.weight[..., None])
    return values[0].T


def by_hand(model: ConvolutionalEncoder, sizes: dict, features: Tensor, residual: str) -> list[Tensor]:
    """The output of every layer, block by block, of one utterance (T, F)."""
    all_sizes = [sizes["prologue"], *sizes["blocks"], *sizes["epilogue"]]
    frames, outputs = features, []
    for number, (layer, own) in enumerate(zip(model.layers, all_sizes, strict=True)):
        values = frames
        for place, (convolution, norm) in enumerate(zip(layer.convolutions, layer.norms, strict=True)):
            values = norm(conv1d(values, convolution, own, 4 if number == 0 else 1))
            if place < len(layer.norms) - 1:
                values = values * values.sigmoid()
        if 0 < number <= len(sizes["blocks"]):
            earlier = {"dense": outputs, "block": outputs[-1:], "none": []}[residual]
            assert len(layer.shortcuts) == len(earlier)
            for (linear, norm), output in zip(layer.shortcuts, earlier, strict=True):
                values = values + norm(output @ linear.weight.T)
        frames = values * values.sigmoid()
        outputs.append(frames)
    return outputs


@pytest.mark.parametrize("kind", ["jasper", "quartznet"])
@pytest.mark.parametrize("residual", ["dense", "block", "none"])
def test_layers_equal_torchs_convolutions_of_an_utterance_alone(features, kind, residual):
    model = encoder(kind, residual=residual)
    num_layers = len(model.layers)
    taps = [Tap(layer) for layer in range(1, num_layers + 1)]
    together = model(features, COUNTS, taps)
    for row, count in enumerate(COUNTS.tolist()):
        expected = by_hand(model, ENCODERS[kind][kind], features[row, :count], residual)
        for tap, frames in zip(taps, expected, strict=True):
            found = together.tapped[tap][row, : len(frames)]
            torch.testing.assert_close(found, frames, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(together.frames, together.tapped[taps[-1]])


@pytest.mark.parametrize(("kind", "separable"), [("jasper", False), ("quartznet", True)])
def test_a_convolution_mixes_channels_at_once_or_in_a_second_step(kind, separable):
    (first, *_) = encoder(kind).layers[1].convolutions
    assert (first.pointwise is not None) == separable
    assert first.over_time.weight.shape[1] == (1 if separable else 6)


def test_before_norm_is_the_last_convolution_without_residual_connections(features):
    model = encoder("jasper", residual="none")
    output = model(features, COUNTS, [Tap(2), Tap(2, "before_norm")])
    normed = model.layers[1].norms[-1](output.tapped[Tap(2, "before_norm")])
    torch.testing.assert_close(nn.functional.silu(normed), output.tapped[Tap(2)])


@pytest.mark.parametrize("kind", ["jasper", "quartznet"])
def test_the_mean_over_channels_varies_before_the_norm_alone(features, kind):
    model = encoder(kind, residual="none", activation="relu")
    real = frame_mask(torch.tensor([16, 10, 3]), 16)
    for layer in range(1, len(model.layers) + 1):
        before = model(features, COUNTS, [Tap(layer, "before_norm")]).tapped[Tap(layer, "before_norm")][real]
        normed = model.layers[layer - 1].norms[-1](before)
        assert float(before.mean(-1).std() / before.std()) > 0.1
        assert float(normed.mean(-1).std()) < 1e-5


def test_relu_is_a_setting(features):
    frames = encoder("quartznet", activation="relu")(features, COUNTS).frames
    assert float(frames.min()) == 0.0
    assert float(encoder("quartznet")(features, COUNTS).frames.min()) < 0.0


def lstm(frames: Tensor, cell: nn.LSTM) -> Tensor:
    """(T, D) outputs of (T, I) frames, gate by gate."""
    input_weight, state_weight = cell.weight_ih_l0, cell.weight_hh_l0
    state, memory, outputs = torch.zeros(cell.hidden_size), torch.zeros(cell.hidden_size), []
    for frame in frames:
        gates = input_weight @ frame + cell.bias_ih_l0 + state_weight @ state + cell.bias_hh_l0
        enter, forget, candidate, leave = gates.chunk(4)
        memory = forget.sigmoid() * memory + enter.sigmoid() * candidate.tanh()
        state = leave.sigmoid() * memory.tanh()
        outputs.append(state)
    return torch.stack(outputs)


def test_recurrent_layers_equal_lstms_run_by_hand_in_both_directions(features):
    model = encoder("deepspeech2")
    assert isinstance(model, DeepSpeech2)
    together = model(features, COUNTS, [Tap(1, "before_norm"), Tap(2, "before_norm")])
    for row, count in enumerate(COUNTS.tolist()):
        frames = model.front_end(features[row : row + 1, :count], COUNTS[row : row + 1])[0][0]
        for number, layer in enumerate(model.layers, start=1):
            frames = layer.norm(frames)
            frames = lstm(frames, layer.forwards) + lstm(frames.flip(0), layer.backwards).flip(0)
            found = together.tapped[Tap(number, "before_norm")][row]
            torch.testing.assert_close(found[: len(frames)], frames, rtol=1e-4, atol=1e-5)
            assert not found[len(frames) :].any()
        norm, linear, _ = model.fully_connected
        frames = nn.functional.silu(norm(frames) @ linear.weight.T + linear.bias)
        torch.testing.assert_close(together.frames[row, : len(frames)], frames, rtol=1e-4, atol=1e-5)


def test_an_untrained_lstm_remembers_some_frames():
    """The forget gate, the second of four in torch's order, is open by a bias of 1 beside a random one."""
    cell = encoder("deepspeech2").layers[0].forwards
    gates = cell.bias_hh_l0.detach().chunk(4)
    assert torch.equal(gates[1], torch.ones(7))
    assert all(float(gate.abs().max()) < 0.5 for gate in (gates[0], gates[2], gates[3]))


@pytest.mark.parametrize("kind", NEW)
def test_taps_have_the_sizes_of_their_layers(features, kind):
    model = encoder(kind)
    taps = [Tap(layer, place) for layer in range(1, len(model.layers) + 1) for place in model.places(layer)]
    output = model(features, COUNTS, taps)
    sizes = [output.tapped[tap].shape[-1] for tap in taps]
    assert sizes == [model.layer_dim(tap) for tap in taps]
    assert len(set(sizes)) > 1
    assert output.frames.shape[-1] == model.dim == model.layer_dim(Tap(len(model.layers)))


@pytest.mark.parametrize("kind", NEW)
def test_a_gradient_reaches_every_parameter(features, kind):
    model = recognizer(kind, None, ctc=True).train()
    model(features, COUNTS).log_probs()[..., 1].sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.any()), name


@pytest.mark.parametrize("kind", NEW)
def test_bf16_is_near_float32(features, kind):
    model = recognizer(kind, None, ctc=True)
    exact = model(features, COUNTS).log_probs()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(features, COUNTS)
        output.log_probs().sum().backward()
    real = frame_mask(output.num_frames, exact.shape[1])
    torch.testing.assert_close(output.log_probs()[real], exact[real], rtol=0, atol=0.1)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("jasper", {"prologue": {"channels": 4, "kernel_size": 4}}, "kernel_size 4 must be odd"),
        ("jasper", {"prologue": {"channels": 4, "kernel_size": 3}}, "at least the subsampling, 4"),
        ("quartznet", {"blocks": []}, "expected one at least"),
        ("quartznet", {"prologue": {"channels": 4, "kernel_size": 5, "dilation": 2}}, "no dilation"),
        ("deepspeech2", {"kernel_sizes": ((5, 4), (5, 3))}, "expected odd numbers"),
    ],
)  # fmt: skip
def test_sizes_that_leave_frames_out_are_refused(kind, changes, message):
    with pytest.raises(ValueError, match=message):
        encoder(kind, **changes)


@pytest.mark.parametrize(("kernels", "subsampling"), [((1, 3), 2), ((3, 1), 4), ((3, 3), 8)])
def test_kernels_narrower_than_the_stride_are_refused(kernels, subsampling):
    sizes = tuple((frames, 3) for frames in kernels)
    with pytest.raises(
        AsrkdError, match=r"model.encoder.deepspeech2: a kernel of \d frames? with a stride of"
    ):
        encoder("deepspeech2", kernel_sizes=sizes, subsampling=subsampling)
    assert encoder("deepspeech2", kernel_sizes=sizes, subsampling=1)


@pytest.mark.parametrize("kind", NEW)
def test_a_kind_alone_is_a_small_model(kind):
    model = build_encoder(EncoderConfig(**{kind: {}}), 80)
    assert 50_000 <= sum(parameter.numel() for parameter in model.parameters()) <= 150_000
