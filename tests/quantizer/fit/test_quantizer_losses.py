"""Losses and errors against the reference package, and at their limits."""

import math

import pytest
import torch
from torch import Tensor

from asrkd.quantizer.direct_sum import DirectSumQuantizer
from asrkd.quantizer.fit.learner import ENTROPY_SCALE, classifier_losses
from asrkd.quantizer.search.tables import squared_errors
from asrkd.quantizer.shannon import entropy_bits


def losses_of(
    quantizer: DirectSumQuantizer, frames: Tensor, indexes: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Relative squared error, prediction loss in nats, and unevenness of the classifiers."""
    errors = squared_errors(frames, quantizer.scaled_centers(), indexes)
    return errors.sum() / frames.square().sum(), *classifier_losses(quantizer.logits(frames), indexes)


def test_losses_are_those_of_the_reference_package(reference):
    """Its error is relative to the spread about the mean of its centers; ours about zero here."""
    relative_error, prediction, logits_entropy = losses_of(
        reference.quantizer, reference.frames, reference.indexes(2)
    )
    error, reference_prediction, reference_entropy, index_entropy = reference.losses()
    spread = (reference.frames - torch.tensor(reference.record["data_mean"])).square().sum()
    ours = relative_error * reference.frames.square().sum() / spread
    assert ours.item() == pytest.approx(error, rel=1e-4)
    assert prediction.item() == pytest.approx(reference_prediction, rel=1e-4)
    assert logits_entropy.item() == pytest.approx(reference_entropy, abs=1e-5)
    used = torch.nn.functional.one_hot(reference.indexes(2), reference.quantizer.codebook_size)
    unevenness = 1 - entropy_bits(used.float().mean(dim=0)).mean() / math.log2(used.shape[-1])
    assert unevenness.item() == pytest.approx(index_entropy, abs=1e-5)
    assert ENTROPY_SCALE == 0.01
    total = relative_error + prediction + ENTROPY_SCALE * logits_entropy
    expected = relative_error.item() + reference_prediction + 0.01 * reference_entropy
    assert total.item() == pytest.approx(expected, rel=1e-4)


def test_an_untrained_quantizer_is_at_chance():
    """Zero centers leave the whole variance; zero logits are even: ln K nats."""
    quantizer = DirectSumQuantizer(3, num_codebooks=2, codebook_size=16)
    indexes = torch.zeros(9, 2, dtype=torch.long)
    relative_error, prediction, logits_entropy = losses_of(quantizer, torch.randn(9, 3), indexes)
    assert relative_error.item() == pytest.approx(1)
    assert prediction.item() == pytest.approx(math.log(16))
    assert logits_entropy.item() == pytest.approx(0, abs=1e-6)


def test_error_trains_centers_and_prediction_classifiers(reference):
    quantizer = reference.quantizer.requires_grad_(True)
    relative_error, prediction, _ = losses_of(quantizer, reference.frames, reference.indexes(2))
    relative_error.backward(retain_graph=True)
    assert quantizer.centers.grad.any() and quantizer.centers_scale.grad
    assert quantizer.to_logits.weight.grad is None and quantizer.logits_scale.grad is None
    quantizer.zero_grad(set_to_none=True)
    prediction.backward()
    assert quantizer.to_logits.weight.grad.any() and quantizer.logits_scale.grad
    assert quantizer.centers.grad is None and quantizer.centers_scale.grad is None


def test_entropy_is_that_of_coins_and_certainty():
    probs = torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.25] * 4, [1.0, 0.0, 0.0, 0.0]])
    assert entropy_bits(probs).tolist() == pytest.approx([1.0, 2.0, 0.0])
