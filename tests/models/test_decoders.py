"""Attention decoders: what they are told step by step and at once, padding, neighbors, and formulas."""

import pytest
import torch

from asrkd.models.config import LanguageModelArchitecture
from asrkd.models.las_decoder import LocationAwareAttention
from asrkd.models.masks import frame_mask
from asrkd.models.recognizer import LanguageModel
from asrkd.models.stepwise import BOUNDARY, decoder_inputs, labels
from tests.models.small import recognizer

KINDS = ["transformer", "las"]
NUM_FRAMES = torch.tensor([9, 4, 6])
TOKENS = torch.tensor([[1, 2, 3, 4], [5, 5, 0, 0], [0, 0, 0, 0], [6, 1, 2, 0]])
NUM_TOKENS = torch.tensor([4, 2, 0, 3])
UTTERANCE = torch.tensor([1, 1, 0, 2])  # two hypotheses of utterance 1, an empty one of 0


def decoder(kind: str):
    if kind == "lm":
        sizes = {"num_layers": 2, "dim": 16, "num_heads": 2, "feed_forward_dim": 24}
        torch.manual_seed(4)
        return LanguageModel(LanguageModelArchitecture(language_model=sizes, num_tokens=7)).eval().decoder
    return recognizer("transformer", kind).decoder


@pytest.fixture
def encoded() -> torch.Tensor:
    """(N=3, T=9, D=16)"""
    return torch.randn(3, 9, 16, generator=torch.Generator().manual_seed(2))


def taught(model, encoded) -> torch.Tensor:
    """(S, U + 1, V) log-probabilities."""
    return model(encoded, NUM_FRAMES, TOKENS, NUM_TOKENS, UTTERANCE).log_softmax(-1)


@pytest.mark.parametrize("kind", [*KINDS, "lm"])
def test_a_token_at_a_time_gives_what_the_whole_sequence_gives(encoded, kind):
    model = decoder(kind)
    whole = taught(model, encoded)
    assert whole.shape == (4, 5, 7)
    state = model.start(encoded, NUM_FRAMES).take(UTTERANCE)
    for place, tokens in enumerate(decoder_inputs(TOKENS, NUM_TOKENS).unbind(1)):
        log_probs, state = model.step(tokens, state)
        assert log_probs.dtype == torch.float32
        torch.testing.assert_close(log_probs, whole[:, place], rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", [*KINDS, "lm"])
def test_a_reordered_state_continues_its_source_sequences(encoded, kind):
    """Beams of two: after two tokens the second of utterance 0 wins both places, utterance 2 is dropped."""
    model = decoder(kind)
    state = model.start(encoded, NUM_FRAMES).take(torch.tensor([0, 0, 1, 1, 2, 2]))
    for tokens in ([BOUNDARY] * 6, [1, 2, 3, 4, 5, 6]):
        _, state = model.step(torch.tensor(tokens), state)
    state = state.take(torch.tensor([1, 1, 3, 2]))
    _, state = model.step(torch.tensor([4, 5, 6, 1]), state)
    log_probs, _ = model.step(torch.tensor([2, 2, 2, 2]), state)
    histories = torch.tensor([[2, 4, 2], [2, 5, 2], [4, 6, 2], [3, 1, 2]])
    owner, count = torch.tensor([0, 0, 1, 1]), torch.tensor([3, 3, 3, 3])
    whole = model(encoded, NUM_FRAMES, histories, count, owner).log_softmax(-1)
    torch.testing.assert_close(log_probs, whole[:, 3], rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_frames_change_neither_value_nor_gradient(encoded, kind):
    model, values, gradients = decoder(kind), [], []
    for garbage in (0.0, float("nan")):
        inside = frame_mask(NUM_FRAMES, 9)[..., None]
        frames = encoded.masked_fill(~inside, garbage).requires_grad_()
        loss = taught(model, frames)[:, 0, 1].sum()
        model.zero_grad()
        loss.backward()
        values.append(loss.detach())
        gradients.append(torch.cat([p.grad.flatten() for p in (*model.parameters(), frames)]))
    assert torch.equal(*values)
    assert torch.equal(*gradients)
    assert gradients[0].isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_alone_and_among_others_is_told_the_same(encoded, kind):
    model = decoder(kind)
    together = taught(model, encoded)
    for row, (owner, count) in enumerate(zip(UTTERANCE.tolist(), NUM_TOKENS.tolist(), strict=True)):
        frames = int(NUM_FRAMES[owner])
        alone = model(
            encoded[owner : owner + 1, :frames], NUM_FRAMES[owner : owner + 1],
            TOKENS[row : row + 1, :count], NUM_TOKENS[row : row + 1], torch.zeros(1, dtype=torch.long),
        )  # fmt: skip
        torch.testing.assert_close(together[row, : count + 1], alone[0].log_softmax(-1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_of_tokens_is_not_looked_at(encoded, kind):
    model = decoder(kind)
    garbage = TOKENS.masked_fill(~frame_mask(NUM_TOKENS, 4), 6)
    other = model(encoded, NUM_FRAMES, garbage, NUM_TOKENS, UTTERANCE).log_softmax(-1)
    assert torch.equal(taught(model, encoded), other)


@pytest.mark.parametrize("kind", [*KINDS, "lm"])
def test_a_token_changes_what_follows_and_nothing_before(encoded, kind):
    model = decoder(kind)
    before = taught(model, encoded)
    changed = TOKENS.clone()
    changed[0, 2] = 6
    after = model(encoded, NUM_FRAMES, changed, NUM_TOKENS, UTTERANCE).log_softmax(-1)
    assert torch.equal(before[0, :3], after[0, :3])
    assert not torch.allclose(before[0, 3:], after[0, 3:])


@pytest.mark.parametrize("kind", KINDS)
def test_decoders_use_the_speech_and_language_models_do_not(encoded, kind):
    model, lm = decoder(kind), decoder("lm")
    other = encoded + 1.0
    assert not torch.allclose(taught(model, encoded), taught(model, other), atol=1e-4)
    assert torch.equal(taught(lm, encoded), taught(lm, other))


def test_location_aware_attention_is_its_formula_written_out():
    torch.manual_seed(7)
    attention = LocationAwareAttention(3, 4, 2, 3)
    state, frames, last = torch.randn(1, 3), torch.randn(1, 5, 4), torch.rand(1, 5)
    real = torch.tensor([[True, True, True, True, False]])
    last = last * real
    padded = [0.0, *last[0].tolist(), 0.0]
    energies = []
    for t in range(4):
        inside = (
            attention.query.weight @ state[0] + attention.query.bias + attention.key.weight @ frames[0, t]
        )
        for channel in range(2):
            kernel = attention.location.weight[channel, 0]
            inside[channel] += sum(kernel[offset] * padded[t + offset] for offset in range(3))
        energies.append(attention.energy.weight[0] @ torch.tanh(inside))
    expected_weights = torch.cat([torch.stack(energies).softmax(0), torch.zeros(1)])
    found = attention(state, last, attention.key(frames), real)
    torch.testing.assert_close(found[0], expected_weights)


def test_inputs_begin_with_bos_and_labels_end_with_eos():
    tokens, counts = torch.tensor([[3, 4, 9], [5, 9, 9]]), torch.tensor([2, 1])
    assert decoder_inputs(tokens, counts).tolist() == [[0, 3, 4, 0], [0, 5, 0, 0]]
    assert labels(tokens, counts).tolist() == [[3, 4, 0, 0], [5, 0, 0, 0]]
