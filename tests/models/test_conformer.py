"""The encoder against padding, neighbors, the future, and a formula written out."""

import math

import pytest
import torch

from asrkd.data.features.reading import FeatureConfig
from asrkd.models.attention import RotarySelfAttention, rotate, rotation, weighted
from asrkd.models.config import Architecture, ConformerConfig
from asrkd.models.conformer import Conformer
from asrkd.models.encoder import Tap
from asrkd.models.front_end import FrontEnd, num_encoder_frames
from asrkd.models.layers import global_statistics
from asrkd.models.masks import chunk_mask
from asrkd.models.recognizer import Recognizer, num_parameters
from tests.models.padding import check_padding

SMALL = {"num_layers": 2, "dim": 16, "num_heads": 2, "feed_forward_dim": 24, "kernel_size": 5}
COUNTS = torch.tensor([61, 40, 9])


def encoder(**changes) -> Conformer:
    torch.manual_seed(3)
    return Conformer(ConformerConfig(**(SMALL | {"front_end_channels": 3} | changes)), num_features=20).eval()


@pytest.fixture
def features() -> torch.Tensor:
    """(N=3, T=61, F=20)"""
    return torch.randn(3, 61, 20, generator=torch.Generator().manual_seed(5))


STREAMING = {"causal": True, "chunk_frames": 4, "left_chunks": 1}


@pytest.mark.parametrize("switches", [{}, {"causal": True}, STREAMING, {"utterance_mean": True}])
@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 1e9])
def test_padding_changes_neither_outputs_nor_gradients(features, switches, garbage):
    check_padding(encoder(**switches), features, COUNTS, [Tap(1), Tap(2, "before_norm")], garbage)


@pytest.mark.parametrize("switches", [{}, STREAMING, {"utterance_mean": True}])
def test_an_utterance_alone_and_in_a_batch_give_the_same(features, switches):
    model = encoder(**switches)
    together = model(features, COUNTS)
    for row, count in enumerate(COUNTS.tolist()):
        alone = model(features[row : row + 1, :count], COUNTS[row : row + 1])
        frames = int(together.num_frames[row])
        assert alone.frames.shape[1] == frames == math.ceil(count / 4)
        torch.testing.assert_close(together.frames[row, :frames], alone.frames[0], rtol=0, atol=1e-5)


def test_the_mean_of_an_utterance_removes_what_a_channel_adds_to_all_of_its_frames(features):
    channels = torch.randn(3, 1, 20, generator=torch.Generator().manual_seed(6))
    for switch, is_removed in ((True, True), (False, False)):
        model = encoder(utterance_mean=switch)
        model.front_end.set_statistics(torch.full((20,), 0.5), torch.full((20,), 2.0))
        with_channel = model(features + channels, COUNTS).frames
        assert torch.allclose(model(features, COUNTS).frames, with_channel, atol=1e-4) == is_removed


def test_features_of_an_utterance_have_mean_zero_over_its_real_frames(features):
    front = encoder(utterance_mean=True).front_end
    front.set_statistics(torch.full((20,), 0.5), torch.full((20,), 2.0))
    normalized = front.normalize(features, COUNTS)
    for row, count in enumerate(COUNTS.tolist()):
        frames = features[row, :count].double() / 2
        expected = (frames - frames.mean(dim=0)).float()
        torch.testing.assert_close(normalized[row, :count], expected, rtol=0, atol=1e-5)


def test_the_mean_of_an_utterance_is_refused_in_streaming():
    with pytest.raises(ValueError, match="utterance_mean needs causal: false"):
        encoder(causal=True, utterance_mean=True)


def test_streaming_outputs_do_not_depend_on_later_chunks(features):
    model = encoder(**STREAMING)
    before = model(features[:1], COUNTS[:1]).frames
    changed = features[:1].clone()
    changed[:, 33:] += 1.0  # encoder frames 0-8 end at feature frame 32; chunk 0-3 and 4-7 are untouched
    after = model(changed, COUNTS[:1]).frames
    assert torch.equal(before[:, :8], after[:, :8])
    assert not torch.allclose(before[:, 9:], after[:, 9:])


def test_full_context_outputs_do_depend_on_the_future(features):
    model = encoder()
    changed = features[:1].clone()
    changed[:, 50:] += 1.0
    assert not torch.allclose(
        model(features[:1], COUNTS[:1]).frames[:, 0], model(changed, COUNTS[:1]).frames[:, 0]
    )


def test_causal_convolution_sees_the_past_only_however_long(features):
    model = encoder(causal=True, chunk_frames=1)
    changed = features[:1].clone()
    changed[:, 1:] = 7.0
    assert torch.equal(model(features[:1], COUNTS[:1]).frames[:, 0], model(changed, COUNTS[:1]).frames[:, 0])


def test_encoder_frame_k_is_centered_on_feature_frame_4k():
    front = FrontEnd(20, 3, 8, causal=False)
    for parameter in (front.first.weight, front.second.weight, front.project.weight):
        torch.nn.init.constant_(parameter, 0.1)  # all positive: an impulse cannot cancel out
    front.norm = torch.nn.Identity()
    silence = torch.zeros(1, 61, 20)
    base, _ = front(silence, COUNTS[:1])
    impulse = silence.clone()
    impulse[:, 24] = 5.0
    answer = (front(impulse, COUNTS[:1])[0] - base).abs().sum(-1)[0]
    assert int(answer.argmax()) == 6
    torch.testing.assert_close(answer[5], answer[7])  # symmetric around it


def test_a_channel_that_is_negative_everywhere_still_learns():
    front = FrontEnd(20, 1, 8, causal=False)
    for convolution in (front.first, front.second):
        torch.nn.init.constant_(convolution.bias, -4.0)  # far below what unit features can lift above 0
    frames, _ = front(torch.randn(1, 61, 20, generator=torch.Generator().manual_seed(1)), COUNTS[:1])
    frames[..., 0].sum().backward()
    for convolution in (front.first, front.second):
        assert convolution.weight.grad is not None
        assert float(convolution.weight.grad.abs().min()) > 0


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9, 100])
def test_the_length_rule_is_what_the_convolutions_give(count):
    front = FrontEnd(20, 2, 8, causal=False)
    frames, num_frames = front(torch.zeros(1, count, 20), torch.tensor([count]))
    assert frames.shape[1] == int(num_frames) == int(num_encoder_frames(torch.tensor(count), 4))


def test_attention_equals_its_definition_written_out():
    torch.manual_seed(0)
    attention = RotarySelfAttention(8, 2, 0.0).eval()
    frames = torch.randn(1, 5, 8)
    allowed = torch.tensor([True, True, True, True, False])[None, None]
    projected = frames[0] @ attention.query_key_value.weight.T + attention.query_key_value.bias
    heads = []
    for head in range(2):
        q, k, v = (projected[:, part * 8 + head * 4 : part * 8 + head * 4 + 4] for part in range(3))
        rows = []
        for t in range(5):
            scores = torch.tensor([_turned(q[t], t) @ _turned(k[s], s) / 2.0 for s in range(4)])
            rows.append(scores.softmax(0) @ v[:4])
        heads.append(torch.stack(rows))
    expected = torch.cat(heads, dim=1) @ attention.out.weight.T + attention.out.bias
    torch.testing.assert_close(attention(frames, allowed)[0], expected, rtol=1e-4, atol=1e-5)


def _turned(vector: torch.Tensor, position: int) -> torch.Tensor:
    """Rotary position written with complex numbers: pairs (i, i + 2) turn by position * 10000^(-i/2)."""
    pairs = torch.complex(vector[:2], vector[2:])
    angles = torch.tensor([position * 10000.0 ** (-i / 2) for i in range(2)])
    turned = pairs * torch.exp(1j * angles)
    return torch.cat([turned.real, turned.imag])


def test_rotary_products_depend_on_distance_alone():
    torch.manual_seed(1)
    query, key = torch.randn(2, 6)
    cos, sin = rotation(30, 6, query)
    queries = rotate(query.expand(1, 1, 30, 6), cos, sin)[0, 0]
    keys = rotate(key.expand(1, 1, 30, 6), cos, sin)[0, 0]
    products = queries @ keys.T
    for distance in (-7, 0, 3):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=1e-4, atol=1e-4)


def test_a_frame_that_may_see_nothing_gives_no_nan():
    attention = RotarySelfAttention(8, 2, 0.0)
    out = attention(torch.randn(1, 3, 8), torch.zeros(1, 3, 3, dtype=torch.bool))
    assert out.isfinite().all()


def test_chunk_mask_by_brute_force():
    mask = chunk_mask(10, 3, 1)
    for query in range(10):
        for key in range(10):
            assert bool(mask[query, key]) == (0 <= query // 3 - key // 3 <= 1)


def test_taps_before_and_after_the_norm_differ_by_that_norm(features):
    model = encoder()
    output = model(features, COUNTS, [Tap(2, "before_norm"), Tap(2), Tap(1)])
    torch.testing.assert_close(model.layers[1].norm(output.tapped[Tap(2, "before_norm")]), output.frames)
    torch.testing.assert_close(output.tapped[Tap(2)], output.frames)
    assert not torch.allclose(output.tapped[Tap(1)], output.frames)


def test_a_tap_of_a_layer_that_is_not_there_is_refused(features):
    with pytest.raises(ValueError, match="layer 3: the encoder has layers 1 to 2"):
        encoder()(features, COUNTS, [Tap(3)])


def test_statistics_are_those_of_all_frames_together():
    torch.manual_seed(2)
    matrices = [torch.randn(7, 4) * 3 + 5, torch.randn(2, 4) * 3 + 5]
    mean, std = global_statistics(matrices)
    frames = torch.cat(matrices).numpy()
    torch.testing.assert_close(mean, torch.from_numpy(frames.mean(0)))
    torch.testing.assert_close(std, torch.from_numpy(frames.std(0)))


def test_normalizing_inside_equals_normalizing_outside(features):
    plain, inside = encoder(), encoder()
    mean, std = global_statistics([features[0]])
    inside.front_end.set_statistics(mean, std)
    torch.testing.assert_close(
        inside(features, COUNTS).frames[0], plain((features - mean) / std, COUNTS).frames[0]
    )


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"dim": 18}, "even multiple"),
        ({"kernel_size": 4}, "must be odd"),
        ({"left_chunks": 2}, "no effect without chunk_frames"),
        ({"chunk_frames": 4}, "needs causal"),
    ],
)
def test_sizes_that_do_not_fit_together_are_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        ConformerConfig(**(SMALL | {"num_heads": 4} | changes))


def test_log_probs_are_normalized_and_parameters_are_counted(features):
    shape = FeatureConfig(type="kaldi-fbank", num_features=20, frame_shift=0.01, sampling_rate=8000)
    model = Recognizer(Architecture(conformer=ConformerConfig(**SMALL), features=shape, num_tokens=7)).eval()
    output = model(features, COUNTS)
    torch.testing.assert_close(output.log_probs().exp().sum(-1), torch.ones(3, 16))
    assert model.frame_shift == pytest.approx(0.04)
    assert num_parameters(model.ctc_head) == 16 * 7 + 7


@pytest.mark.parametrize("per_query", [False, True])
@pytest.mark.parametrize("most", [1, 7 * 2 * 5, 10**9])
def test_attention_in_blocks_of_queries_is_attention(most, per_query, monkeypatch):
    generator = torch.Generator().manual_seed(3)
    query, key, value = (torch.randn(2, 3, 7, 4, generator=generator) for _ in range(3))
    allowed = torch.rand(2, 7 if per_query else 1, 7, generator=generator) < 0.6
    scores = torch.einsum("nhtk,nhsk->nhts", query, key) / 2.0
    expected = torch.zeros(2, 7, 3, 4)
    for n, h, t in torch.cartesian_prod(torch.arange(2), torch.arange(3), torch.arange(7)).tolist():
        seen = allowed[n, t if per_query else 0].nonzero().flatten()
        if len(seen):
            expected[n, t, h] = scores[n, h, t, seen].softmax(0) @ value[n, h, seen]
    monkeypatch.setattr("asrkd.models.attention.MOST_SCORES", most)
    with torch.no_grad():
        mixed = weighted(query, key, value, allowed, torch.nn.Identity())
    torch.testing.assert_close(mixed, expected.flatten(2))
