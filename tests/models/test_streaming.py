"""Streams: steps from chunk to chunk against the masked whole, and what no step may depend on."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from asrkd.models.config import ConformerConfig
from asrkd.models.conformer import Conformer, StreamState
from asrkd.models.masks import Chunks

SIZES = {"num_layers": 3, "dim": 16, "num_heads": 2, "feed_forward_dim": 24, "kernel_size": 5, "causal": True}


def conformer(chunk_frames: int, left_chunks: int | None, **more) -> Conformer:
    torch.manual_seed(1)
    config = ConformerConfig(
        **SIZES, front_end_channels=3, chunk_frames=chunk_frames, left_chunks=left_chunks, **more
    )
    model = Conformer(config, 10).eval()
    model.front_end.set_statistics(torch.randn(10), torch.rand(10) + 0.5)
    return model


def features(num: int, frames: int, seed: int = 2) -> torch.Tensor:
    return 3 * torch.randn(num, frames, 10, generator=torch.Generator().manual_seed(seed)) - 5


@torch.no_grad()
def in_steps(model: Conformer, audio: torch.Tensor) -> torch.Tensor:
    """Encoder frames of all whole chunks of (N, T, F) features."""
    size = model.chunks.frames * model.subsampling
    state, outputs = model.start(len(audio)), []
    for first in range(0, audio.shape[1] - size + 1, size):
        frames, state = model.step(audio[:, first : first + size], state)
        outputs.append(frames)
    return torch.cat(outputs, dim=1)


@torch.no_grad()
def whole(model: Conformer, audio: torch.Tensor) -> torch.Tensor:
    return model(audio, torch.full((len(audio),), audio.shape[1])).frames


@pytest.mark.parametrize("subsampling", [1, 2, 4, 8])
@pytest.mark.parametrize(("chunk_frames", "left_chunks"), [(1, 8), (2, 0), (4, 2), (3, 1), (7, 3)])
def test_steps_give_the_masked_whole(chunk_frames, left_chunks, subsampling):
    model = conformer(chunk_frames, left_chunks, subsampling=subsampling)
    audio = features(2, subsampling * chunk_frames * 6)
    torch.testing.assert_close(in_steps(model, audio), whole(model, audio), atol=1e-5, rtol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(0, 4), st.integers(1, 9), st.integers(0, 99))
def test_steps_give_the_masked_whole_at_every_chunk_size_of_one_model(frames, left, num_chunks, seed):
    model = conformer(4, 2)
    model.chunks = Chunks(frames, left)
    audio = features(1, 4 * frames * num_chunks, seed)
    torch.testing.assert_close(in_steps(model, audio), whole(model, audio), atol=1e-5, rtol=1e-5)


def test_streams_of_different_age_share_a_step():
    model = conformer(2, 3)
    audio = features(1, 8 * 7)
    old, young = model.start(1), model.start(1)
    with torch.no_grad():
        for first in range(0, 24, 8):
            _, old = model.step(audio[:, first : first + 8], old)
        both = _stacked(old, young)
        frames, _ = model.step(torch.cat([audio[:, 24:32], audio[:, :8]]), both)
    torch.testing.assert_close(frames[0], whole(model, audio)[0, 6:8], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(frames[1], whole(model, audio)[0, :2], atol=1e-5, rtol=1e-5)


def _stacked(one: StreamState, other: StreamState) -> StreamState:
    cat = torch.cat
    return StreamState(
        tuple(cat(pair) for pair in zip(one.front_end, other.front_end, strict=True)),
        tuple(
            type(layer)(*(cat(pair) for pair in zip(layer, twin, strict=True)))
            for layer, twin in zip(one.layers, other.layers, strict=True)
        ),
        cat([one.num_frames, other.num_frames]),
    )


@pytest.mark.parametrize("moved", [0, 17, 31, 32, 44])
def test_a_later_feature_moves_no_earlier_chunk(moved):
    model = conformer(2, 2)
    audio = features(1, 48)
    other = audio.clone()
    other[:, moved] += 100.0
    before, after = in_steps(model, audio), in_steps(model, other)
    first = moved // 8 * 2  # frame of the chunk
    assert torch.equal(before[:, :first], after[:, :first])
    assert not torch.equal(before[:, first:], after[:, first:])


def test_the_state_neither_grows_nor_forgets_its_limit():
    model = conformer(2, 3)
    state = model.start(1)
    shapes = [value.shape for value in _tensors(state)]
    with torch.no_grad():
        for number in range(20):
            _, state = model.step(features(1, 8, number), state)
            assert [value.shape for value in _tensors(state)] == shapes
            assert int(state.num_frames) == min(2 * (number + 1), 6)


def _tensors(state: StreamState) -> list[torch.Tensor]:
    return [*state.front_end, *(value for layer in state.layers for value in layer), state.num_frames]


def test_an_hour_is_as_exact_as_a_second():
    """The angles of positions after 90,000 frames would be 0.008 rad apart in float32."""
    model = conformer(4, 2)
    chunk, state = features(1, 16, 5), model.start(1)
    with torch.no_grad():
        for _ in range(20):
            early, state = model.step(chunk, state)
        for _ in range(500):
            late, state = model.step(chunk, state)
    torch.testing.assert_close(early, late, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("drawn", [(1, 2, 4), (8, 0)])
def test_chunks_of_training_are_drawn_by_the_seed_and_keep_the_left_context(drawn):
    model = conformer(4, 2, drawn_chunk_frames=drawn)
    torch.manual_seed(0)
    sizes = [model._drawn() for _ in range(60)]
    assert {size.frames or 0 for size in sizes} == set(drawn)
    for size in sizes:
        assert size == Chunks(None, None) if size.frames is None else size.left_frames == 8
    torch.manual_seed(0)
    assert [model._drawn() for _ in range(60)] == sizes
    assert conformer(4, 2)._drawn() == Chunks(4, 2)
    assert conformer(4, None, drawn_chunk_frames=(2,))._drawn() == Chunks(2, None)


def test_training_masks_by_the_drawn_chunk_and_evaluation_by_the_usual_one():
    model = conformer(4, 2, drawn_chunk_frames=(1,), dropout=0.0)
    audio = features(1, 64)
    usual = whole(model, audio)
    drawn = whole(model.train(), audio)
    model.eval().chunks = Chunks(1, 8)
    assert torch.equal(drawn, whole(model, audio)) and not torch.equal(drawn, usual)


@pytest.mark.parametrize("chunks", [Chunks(None, None), Chunks(4, None)])
def test_streams_need_a_limited_left_context(chunks):
    model = conformer(4, 2)
    model.chunks = chunks
    with pytest.raises(ValueError, match="streams need chunk_frames and left_chunks"):
        model.start(1)


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(ValidationError, match="drawn_chunk_frames needs chunk_frames"):
        ConformerConfig(**SIZES, drawn_chunk_frames=(4,))


def test_a_front_end_that_reads_later_frames_has_no_streams():
    model = conformer(4, 2)
    model.front_end._causal = False
    with pytest.raises(ValueError, match="reads later frames cannot run on streams"):
        model.start(1)


@pytest.mark.parametrize("num_frames", [[97], [128, 61, 1]])
@pytest.mark.parametrize("padding", [0.0, float("nan")])
def test_long_utterances_are_encoded_in_steps_as_by_the_mask(num_frames, padding, monkeypatch):
    model, audio, counts = conformer(3, 2), features(len(num_frames), 128), torch.tensor(num_frames)
    audio = audio[:, : max(num_frames)]
    for row, count in enumerate(num_frames):
        audio[row, count:] = padding
    with torch.no_grad():
        masked = model(audio, counts)
        monkeypatch.setattr("asrkd.models.conformer.LONGEST_MASK", 4)
        stepped = model(audio, counts)
    assert stepped.num_frames.tolist() == masked.num_frames.tolist()
    for row, count in enumerate(masked.num_frames.tolist()):
        torch.testing.assert_close(
            stepped.frames[row, :count], masked.frames[row, :count], atol=1e-5, rtol=1e-5
        )
