"""TutorNet's weights of frames, and their spread.

Source: Yoon et al., "TutorNet", arXiv:2008.00671, figure 3: the weight of a frame is the sigmoid of the mean
of the teacher's hidden representation over its dimensions. After a LayerNorm that mean is nearly the same at
every frame, and so is the weight: the layer has to be tapped before it.

Notation: D size of the teacher's layer.
"""

from dataclasses import dataclass

from torch import Tensor

# Standard deviation from the mean, below which weights are all alike. In two Conformers it was 0.002 to 0.006
# after the final LayerNorm of a layer, and 0.013 to 0.028 before it.
LEAST_SPREAD = 0.007


def frame_weights(hidden: Tensor) -> Tensor:
    """Return sigmoid(mean over dimensions), (frames,) in (0, 1), of hidden states (frames, D)."""
    return hidden.mean(dim=-1).sigmoid()


@dataclass(frozen=True)
class WeightSpread:
    """Spread of the weights of frames."""

    mean: float
    deviation: float  # standard deviation
    low: float  # 5 % of the frames have less
    high: float  # 5 % of the frames have more
    num_frames: int

    @classmethod
    def of(cls, weights: Tensor) -> "WeightSpread":
        """Measure the spread of weights (frames,), of one frame or more."""
        ordered = weights.double().sort().values
        low, high = (float(ordered[round(share * (len(ordered) - 1))]) for share in (0.05, 0.95))
        deviation = float(ordered.std(unbiased=False))
        return cls(float(ordered.mean()), deviation, low, high, len(ordered))

    @property
    def is_degenerate(self) -> bool:
        """Whether the weights are nearly all alike, so that they weigh nothing."""
        return self.deviation < LEAST_SPREAD * self.mean

    def text(self) -> str:
        """Describe the spread: '0.520 ± 0.013, 0.50 to 0.55 for nine frames of ten'."""
        return (
            f"{self.mean:.3f} \u00b1 {self.deviation:.4f}, {self.low:.3f} to {self.high:.3f} "
            f"for nine of ten frames"
        )
