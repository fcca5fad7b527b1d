"""Encoder interface: a front end, and layers whose values can be tapped.

Notation: N utterances, T' feature frames, S of them in an encoder frame, F features, T encoder frames, D
model size.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor, nn

from asrkd.models.layers import FeatureNorm

Place = Literal["before_norm", "after_norm"]


class Tap(NamedTuple):
    """Point of an encoder whose values are computed as well: a layer, before or after its norm."""

    layer: int  # 1-based
    place: Place = "after_norm"  # place relative to the layer's final LayerNorm


@dataclass(frozen=True)
class EncoderOutput:
    """Encoder frames of a batch, and the tapped values."""

    frames: Tensor  # (N, T, D) of the last layer, after its norm
    num_frames: Tensor  # (N,)
    tapped: dict[Tap, Tensor]  # each (N, T, size of the layer)


class Encoder(nn.Module):
    """Front end and layers: features to encoder frames, a ``subsampling``-th as many."""

    dim: int  # D, of the frames; layers may have other sizes, see :meth:`layer_dim`
    subsampling: int  # S; frame k is centered on feature frame S * k
    front_end: FeatureNorm
    layers: nn.ModuleList

    def forward(self, features: Tensor, num_frames: Tensor, taps: Collection[Tap] = ()) -> EncoderOutput:
        """Encode a batch of features.

        Args:
            features: (N, T', F) log-mel energies; padding may hold anything, NaN too.
            num_frames: (N,) feature frames, at most T'.
            taps: taps whose values are returned too.

        Returns:
            (N, T, D) frames and their (N,) counts; T is ceil(T' / S), and each count likewise.

        Raises:
            ValueError: the encoder has no such layer, or the layer no such place.
        """
        raise NotImplementedError

    def places(self, layer: int) -> tuple[Place, ...]:
        """Return where ``layer`` can be tapped, the layer's output first."""
        raise NotImplementedError

    def layer_dim(self, tap: Tap) -> int:
        """Return the size of the values at ``tap``, which the encoder has; D unless layers differ."""
        return self.dim

    def check_taps(self, taps: Collection[Tap]) -> None:
        """Raise ValueError unless every tap's layer is one of 1 ... num_layers, and has such a place."""
        for tap in taps:
            if not 1 <= tap.layer <= len(self.layers):
                raise ValueError(f"layer {tap.layer}: the encoder has layers 1 to {len(self.layers)}")
            if tap.place not in (places := self.places(tap.layer)):
                raise ValueError(f"layer {tap.layer} of this encoder has no {tap.place}: take {places[0]}")
