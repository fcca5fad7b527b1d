"""The objective of language models against sums of single steps, and hostile padding."""

import math

import pytest
import torch

from asrkd.models.config import LanguageModelArchitecture
from asrkd.models.recognizer import LanguageModel
from asrkd.models.stepwise import BOUNDARY
from asrkd.objectives.language_model import KIND
from asrkd.targets.sequences import SequenceTargets, collate

SENTENCES = [[1, 2, 3], [5], []]
TARGETS = collate([[sentence] for sentence in SENTENCES])
SIZES = {"num_layers": 2, "dim": 12, "num_heads": 2, "feed_forward_dim": 24, "dropout": 0.0}


@pytest.fixture
def model() -> LanguageModel:
    torch.manual_seed(3)
    return LanguageModel(LanguageModelArchitecture(language_model=SIZES, num_tokens=7)).eval()


def loss(model: LanguageModel, targets: SequenceTargets, **settings: float) -> torch.Tensor:
    objective = KIND.build(KIND.config.model_validate(settings), None, model).train(model.training)
    return objective(model(torch.zeros(len(SENTENCES), 0, 0), torch.zeros(3, dtype=torch.int64)), targets)


def step_by_step(model: LanguageModel, sentence: list[int]) -> float:
    """log P(sentence, end), a token at a time."""
    state = model.start(torch.zeros(1, 0, 0), torch.zeros(1, dtype=torch.int64))
    total, last = 0.0, BOUNDARY
    for token in [*sentence, BOUNDARY]:
        log_probs, state = model.step(torch.tensor([last]), state)
        total, last = total + float(log_probs[0, token]), token
    return total


def test_loss_is_the_sum_of_log_probs_with_ends(model):
    total = -sum(step_by_step(model, sentence) for sentence in SENTENCES)
    assert float(loss(model, TARGETS)) == pytest.approx(total, rel=1e-5)
    objective = KIND.build(KIND.config(), None, model)
    assert objective.count(TARGETS, torch.zeros(3)) == 4 + 2 + 1


def test_tokens_all_equally_likely_cost_the_log_of_their_number(model):
    for parameter in model.decoder.parameters():
        torch.nn.init.zeros_(parameter)
    assert float(loss(model, TARGETS)) == pytest.approx(7 * math.log(7), rel=1e-6)


def test_padding_changes_neither_value_nor_gradient(model):
    values, gradients = [], []
    for fill in (0, 4, 6):
        tokens = TARGETS.tokens.clone()
        for row, count in enumerate(TARGETS.num_tokens):
            tokens[row, int(count) :] = fill
        fields = (TARGETS.num_tokens, TARGETS.utterance, TARGETS.weight, TARGETS.share)
        model.zero_grad()
        values.append(loss(model, SequenceTargets(tokens, *fields)))
        values[-1].backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    assert all(torch.equal(value, values[0]) for value in values)
    assert all(torch.allclose(gradient, gradients[0], atol=1e-6) for gradient in gradients)


def test_smoothing_is_of_training_alone(model):
    assert torch.equal(loss(model, TARGETS, label_smoothing=0.1), loss(model, TARGETS))
    assert not torch.equal(loss(model.train(), TARGETS, label_smoothing=0.1), loss(model, TARGETS))
