"""The attention objective against sums of single steps, k copies, hostile padding, and what it is told."""

import math

import pytest
import torch
from pydantic import ValidationError

from asrkd.core.errors import AsrkdError
from asrkd.models.masks import frame_mask
from asrkd.models.recognizer import RecognizerOutput
from asrkd.models.stepwise import BOUNDARY
from asrkd.objectives import kinds
from asrkd.objectives.attention import Attention, AttentionConfig, attention_sum
from asrkd.targets.sequences import SequenceTargets, collate
from tests.models.small import recognizer

KINDS = ["transformer", "las"]
NUM_FRAMES = torch.tensor([6, 3])
TARGETS = collate([[[1, 2, 3], [4]], [[5, 5]]])


def objective(student, **settings) -> Attention:
    return Attention(AttentionConfig(**settings), student)


@pytest.fixture
def encoded() -> torch.Tensor:
    """(N=2, T=6, D=16)"""
    return torch.randn(2, 6, 16, generator=torch.Generator().manual_seed(1))


def output(encoded: torch.Tensor) -> RecognizerOutput:
    return RecognizerOutput(None, NUM_FRAMES, {}, encoded)


def step_by_step(student, encoded, owner: int, tokens: list[int]) -> float:
    """log P(tokens, end | audio), one utterance and one token at a time."""
    frames = int(NUM_FRAMES[owner])
    state = student.decoder.start(encoded[owner : owner + 1, :frames], NUM_FRAMES[owner : owner + 1])
    total, given = 0.0, BOUNDARY
    for token in [*tokens, BOUNDARY]:
        log_probs, state = student.decoder.step(torch.tensor([given]), state)
        total, given = total + float(log_probs[0, token]), token
    return total


@pytest.mark.parametrize("kind", KINDS)
def test_loss_is_the_weighted_sum_of_log_probs_with_eos(encoded, kind):
    student = recognizer("transformer", kind)
    expected = -0.5 * step_by_step(student, encoded, 0, [1, 2, 3])
    expected -= 0.5 * step_by_step(student, encoded, 0, [4]) + step_by_step(student, encoded, 1, [5, 5])
    found = objective(student)(output(encoded), TARGETS)
    assert float(found.detach()) == pytest.approx(expected, rel=1e-5)
    assert objective(student).count(TARGETS, NUM_FRAMES) == 0.5 * (4 + 2) + 3


def test_a_decoder_that_is_sure_of_the_tokens_loses_nothing():
    logits = torch.full((1, 3, 4), -1e4)
    for place, token in enumerate([2, 1, BOUNDARY]):
        logits[0, place, token] = 1e4
    assert float(attention_sum(logits, collate([[[2, 1]]]))) == 0.0
    assert float(attention_sum(torch.zeros(1, 3, 4), collate([[[2, 1]]]))) == pytest.approx(3 * math.log(4))


@pytest.mark.parametrize("kind", KINDS)
def test_a_transcript_repeated_as_hypotheses_is_the_transcript(encoded, kind):
    student = recognizer("transformer", kind)
    once, thrice = collate([[[1, 2]], [[3]]]), collate([[[1, 2]] * 3, [[3]]])
    one, three = (objective(student)(output(encoded), targets) for targets in (once, thrice))
    torch.testing.assert_close(one, three)
    assert objective(student).count(once, NUM_FRAMES) == pytest.approx(
        objective(student).count(thrice, NUM_FRAMES)
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("garbage", [float("nan"), float("inf")])
def test_padding_of_frames_changes_neither_value_nor_gradient(encoded, kind, garbage):
    student, values, gradients = recognizer("transformer", kind), [], []
    for fill in (0.0, garbage):
        frames = encoded.masked_fill(~frame_mask(NUM_FRAMES, 6)[..., None], fill).requires_grad_()
        loss = objective(student)(output(frames), TARGETS)
        student.zero_grad()
        loss.backward()
        values.append(loss.detach())
        gradients.append(torch.cat([p.grad.flatten() for p in (*student.decoder.parameters(), frames)]))
    assert torch.equal(*values)
    assert torch.equal(*gradients)
    assert gradients[0].isfinite().all()


def test_padded_logits_change_neither_value_nor_gradient():
    logits = torch.randn(3, 4, 7, generator=torch.Generator().manual_seed(4))
    beyond = ~frame_mask(TARGETS.num_tokens + 1, 4)
    values, gradients = [], []
    for fill in (0.0, float("nan")):
        own = logits.masked_fill(beyond[..., None], fill).requires_grad_()
        values.append(attention_sum(own, TARGETS, 0.1))
        values[-1].backward()
        gradients.append(own.grad)
    assert torch.equal(*values)
    assert torch.equal(*gradients)
    assert not gradients[0][beyond].any()


def test_label_smoothing_is_uniform_over_all_tokens():
    logits = torch.randn(1, 2, 4, generator=torch.Generator().manual_seed(3))
    log_probs = logits[0].log_softmax(-1)
    soft = torch.full((2, 4), 0.2 / 4)
    soft[0, 3] += 0.8
    soft[1, BOUNDARY] += 0.8
    expected = -(soft * log_probs).sum()
    torch.testing.assert_close(attention_sum(logits, collate([[[3]]]), 0.2), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_smoothing_and_sampling_are_of_training_alone(encoded, kind):
    student = recognizer("transformer", kind)
    plain = objective(student)(output(encoded), TARGETS)
    asked = objective(student, label_smoothing=0.3, teacher_forcing=0.4)
    torch.manual_seed(1)
    assert not torch.allclose(asked.train()(output(encoded), TARGETS), plain)
    assert torch.equal(asked.eval()(output(encoded), TARGETS), plain)


@pytest.mark.parametrize("kind", KINDS)
def test_without_teacher_forcing_inputs_are_the_likeliest(encoded, kind):
    student = recognizer("transformer", kind)
    owner, told = 0, []
    state = student.decoder.start(encoded[:1], NUM_FRAMES[:1])
    given, total = BOUNDARY, 0.0
    for token in [1, 2, 3, BOUNDARY]:
        log_probs, state = student.decoder.step(torch.tensor([given]), state)
        total -= float(log_probs[0, token])
        given = int(log_probs.argmax())
        told.append(given)
    assert told[:3] != [1, 2, 3]
    single = RecognizerOutput(None, NUM_FRAMES[:1], {}, encoded[owner : owner + 1])
    free = objective(student, teacher_forcing=0.0).train()(single, collate([[[1, 2, 3]]]))
    assert float(free) == pytest.approx(total, rel=1e-5)


def test_drawn_tokens_are_refused_where_all_are_told():
    with pytest.raises(ValidationError, match="instead: sample has no effect with teacher_forcing: 1"):
        AttentionConfig(instead="sample")
    assert AttentionConfig(instead="sample", teacher_forcing=0.9).instead == "sample"


def test_the_teacher_forcing_share_holds_and_follows_the_seed(encoded):
    student = recognizer("transformer", "transformer")
    targets = collate([[[6] * 400], [[6] * 400]])
    asked = objective(student, teacher_forcing=0.4).train()

    def told() -> torch.Tensor:
        torch.manual_seed(8)
        return asked._sampled_inputs(student.decoder, encoded, NUM_FRAMES, targets)

    with torch.no_grad():
        student.decoder.out.bias[6] = -1e4  # never its own choice
    assert float((told() == 6).float().mean()) == pytest.approx(0.4, abs=0.06)
    assert torch.equal(told(), told())


def test_own_tokens_may_be_drawn(encoded):
    student = recognizer("transformer", "las")
    with torch.no_grad():
        student.decoder.out.weight.zero_()
        student.decoder.out.bias.copy_(torch.tensor([0.0, 1.0, 0, 0, 0, 0, 0]))
    asked = objective(student, teacher_forcing=0.0, instead="sample").train()
    torch.manual_seed(2)
    told = asked._sampled_inputs(student.decoder, encoded, NUM_FRAMES, collate([[[6] * 300], [[6] * 300]]))
    share = math.e / (math.e + 6)
    assert float((told == 1).float().mean()) == pytest.approx(share, abs=0.06)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_without_any_sequence_gives_zero(encoded, kind):
    nothing = SequenceTargets(*(torch.zeros(0, 1, dtype=torch.long), *(torch.zeros(0),) * 4))
    assert float(objective(recognizer("transformer", kind))(output(encoded), nothing)) == 0.0


@pytest.mark.parametrize(("name", "needs"), [("ctc", "no CTC head"), ("attention", "no attention decoder")])
def test_a_student_that_lacks_the_part_is_refused_in_a_line(name, needs):
    student = recognizer("las", "las") if name == "ctc" else recognizer("las", None, ctc=True)
    kind = kinds()[name]
    with pytest.raises(AsrkdError, match=f"objectives, {name}: the model has {needs}") as error:
        kind.build(kind.config(), None, student)
    assert "\n" not in str(error.value)


def test_the_objective_owns_no_parameters():
    assert not list(objective(recognizer("las", "las")).parameters())
