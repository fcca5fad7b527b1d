"""What the classifiers of a direct-sum quantizer learn from, and how good its centers are.

Source: Guo et al., arXiv:2211.00508, section 2, with the normalizations of
the ``multi_quantization`` package: squared error relative to the data's
variance, mean log-probability, and a little for classifiers that on average
use all entries.

Departure: the variance is about the data's true mean. That package takes it
about the mean of the quantizer's own centers, so that data far from zero
seem to be described when only their offset is.

Letters: B frames, N codebooks, K entries of each, D dimensions.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from asrkd.quantizer.direct_sum import DirectSumQuantizer
from asrkd.quantizer.search.tables import squared_errors
from asrkd.quantizer.shannon import entropy_bits

ENTROPY_SCALE = 0.01  # that of multi_quantization


@dataclass(frozen=True)
class QuantizerLosses:
    """Scalars of a batch.

    Attributes:
        relative_error: squared error over squared distance from the mean, >= 0; its gradient
            reaches the centers only.
        prediction: -log P(index) in nats, mean over frames and codebooks; its gradient
            reaches the classifiers only.
        logits_entropy: 1 minus the entropy of the classifiers' mean probabilities over ln K,
            in [0, 1]; 0 if on average all entries are as probable.
    """

    relative_error: Tensor
    prediction: Tensor
    logits_entropy: Tensor

    @property
    def total(self) -> Tensor:
        """The sum that multi_quantization minimizes, a scalar ()."""
        return self.relative_error + self.prediction + ENTROPY_SCALE * self.logits_entropy


def quantizer_losses(quantizer: DirectSumQuantizer, centered: Tensor, indexes: Tensor) -> QuantizerLosses:
    """Losses of a batch, with gradients.

    Args:
        quantizer: in training.
        centered: (B, D) embeddings without the data's mean, not all zero.
        indexes: (B, N) int64, refined; both the codes and the labels of the classifiers.
    """
    errors = squared_errors(centered, quantizer.scaled_centers(), indexes)
    prediction, logits_entropy = classifier_losses(quantizer.logits(centered), indexes)
    return QuantizerLosses(errors.sum() / centered.square().sum(), prediction, logits_entropy)


def classifier_losses(logits: Tensor, indexes: Tensor) -> tuple[Tensor, Tensor]:
    """``prediction`` in nats and ``logits_entropy`` in [0, 1] of :class:`QuantizerLosses`, both scalars ().

    ``logits`` are (B, N, K), ``indexes`` (B, N) int64.
    """
    log_probs = logits.log_softmax(dim=-1)
    mean_probs = log_probs.exp().mean(dim=0)  # (N, K)
    prediction = -log_probs.gather(-1, indexes[..., None]).mean()
    return prediction, 1 - entropy_bits(mean_probs).mean() / math.log2(logits.shape[-1])
