"""What every encoder is: layers over frames that can be tapped.

Letters: N utterances, T' feature frames, F features, T encoder frames, D model size.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor, nn

from asrkd.models.front_end import FeatureNorm

Place = Literal["before_norm", "after_norm"]


class Tap(NamedTuple):
    """A place in the encoder whose values are asked for."""

    layer: int  # 1-based
    place: Place = "after_norm"  # of the layer's final LayerNorm


@dataclass(frozen=True)
class EncoderOutput:
    """What an encoder says of a batch."""

    frames: Tensor  # (N, T, D), of the last layer after its norm
    num_frames: Tensor  # (N,)
    tapped: dict[Tap, Tensor]  # each (N, T, D)


class Encoder(nn.Module):
    """Front end and layers: features to encoder frames, a quarter as many."""

    dim: int  # D, of the frames and of every tap
    front_end: FeatureNorm
    layers: nn.ModuleList

    def forward(self, features: Tensor, num_frames: Tensor, taps: Collection[Tap] = ()) -> EncoderOutput:
        """Encode a batch.

        Args:
            features: (N, T', F) log-mel energies; padding may hold anything, NaN too.
            num_frames: (N,) feature frames, at most T'.
            taps: layers whose values are wanted as well.

        Returns:
            (N, T, D) frames and (N,) counts; T is ceil(T' / 4), and each count likewise.

        Raises:
            ValueError: a tap names a layer, or a place in it, that there is not.
        """
        raise NotImplementedError

    def places(self, layer: int) -> tuple[Place, ...]:
        """Where ``layer`` can be tapped, what the layer itself gives first."""
        raise NotImplementedError

    def check_taps(self, taps: Collection[Tap]) -> None:
        """Raise ValueError if a tap's layer is not one of 1 ... num_layers, or has no such place."""
        for tap in taps:
            if not 1 <= tap.layer <= len(self.layers):
                raise ValueError(f"layer {tap.layer}: the encoder has layers 1 to {len(self.layers)}")
            if tap.place not in (places := self.places(tap.layer)):
                raise ValueError(f"layer {tap.layer} of this encoder has no {tap.place}: take {places[0]}")
