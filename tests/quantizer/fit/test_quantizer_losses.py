"""Losses against the reference package, and against what they are at their limits."""

import math

import pytest
import torch

from asrkd.quantizer.direct_sum import DirectSumQuantizer
from asrkd.quantizer.fit.losses import quantizer_losses
from asrkd.quantizer.shannon import entropy_bits


def test_losses_are_those_of_the_reference_package(reference):
    """Its error is relative to the spread about the mean of its centers; ours about zero here."""
    losses = quantizer_losses(reference.quantizer, reference.frames, reference.indexes(2))
    error, prediction, logits_entropy, index_entropy = reference.losses()
    spread = (reference.frames - torch.tensor(reference.record["data_mean"])).square().sum()
    ours = losses.relative_error * reference.frames.square().sum() / spread
    assert ours.item() == pytest.approx(error, rel=1e-4)
    assert losses.prediction.item() == pytest.approx(prediction, rel=1e-4)
    assert losses.logits_entropy.item() == pytest.approx(logits_entropy, abs=1e-5)
    used = torch.nn.functional.one_hot(reference.indexes(2), reference.quantizer.codebook_size)
    unevenness = 1 - entropy_bits(used.float().mean(dim=0)).mean() / math.log2(used.shape[-1])
    assert unevenness.item() == pytest.approx(index_entropy, abs=1e-5)
    total = losses.relative_error.item() + prediction + 0.01 * logits_entropy
    assert losses.total.item() == pytest.approx(total, rel=1e-4)


def test_an_untrained_quantizer_is_at_chance():
    """Zero centers leave the whole variance; zero logits are even: ln K nats."""
    made = DirectSumQuantizer(3, num_codebooks=2, codebook_size=16)
    losses = quantizer_losses(made, torch.randn(9, 3), torch.zeros(9, 2, dtype=torch.long))
    assert losses.relative_error.item() == pytest.approx(1)
    assert losses.prediction.item() == pytest.approx(math.log(16))
    assert losses.logits_entropy.item() == pytest.approx(0, abs=1e-6)


def test_the_error_trains_the_centers_only_and_the_prediction_the_classifiers_only(reference):
    quantizer = reference.quantizer.requires_grad_(True)
    losses = quantizer_losses(quantizer, reference.frames, reference.indexes(2))
    losses.relative_error.backward(retain_graph=True)
    assert quantizer.centers.grad.any() and quantizer.centers_scale.grad
    assert quantizer.to_logits.weight.grad is None and quantizer.logits_scale.grad is None
    quantizer.zero_grad(set_to_none=True)
    losses.prediction.backward()
    assert quantizer.to_logits.weight.grad.any() and quantizer.logits_scale.grad
    assert quantizer.centers.grad is None and quantizer.centers_scale.grad is None


def test_entropy_is_that_of_coins_and_certainty():
    probs = torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.25] * 4, [1.0, 0.0, 0.0, 0.0]])
    assert entropy_bits(probs).tolist() == pytest.approx([1.0, 2.0, 0.0])
