"""Statistics of stores of hidden states: TutorNet's weights of their frames."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from asrkd.core.errors import AsrkdError
from asrkd.core.randomness import evenly_spaced
from asrkd.core.shell import make_again
from asrkd.targets.frame_weights import WeightSpread, frame_weights
from asrkd.targets.store.arrays import ArrayStore

MOST_CUTS = 500  # evenly spaced, if the store has more


@dataclass(frozen=True)
class HiddenStatistics:
    """Frame weights of a store of hidden states."""

    num_cuts: int  # number of cuts that were read
    total_cuts: int
    layer: int  # of the teacher
    tap: str  # before_norm or after_norm
    dim: int  # D
    spread: WeightSpread
    weights: Tensor  # (frames,) in (0, 1)

    def text(self) -> str:
        """Describe the weights in one line."""
        some = "" if self.num_cuts == self.total_cuts else f" of {self.total_cuts:,}"
        verdict = "; nearly all alike: frame weighting has no effect" if self.spread.is_degenerate else ""
        return (
            f"layer {self.layer}, {self.tap}, {self.dim} values a frame: frame weights {self.spread.text()} "
            f"({self.spread.num_frames:,} frames of {self.num_cuts:,}{some} cuts){verdict}"
        )


def measure_hidden(path: Path) -> HiddenStatistics:
    """Compute the weights of the frames in a store of hidden states.

    Raises:
        AsrkdError: the store is unfinished, damaged or of another kind, has no frames, or has a NaN.
    """
    store = ArrayStore(path, "hidden")
    ids = list(store.index.ids())
    chosen = evenly_spaced(ids, MOST_CUTS)
    weights = torch.cat([frame_weights(store.read(cut_id).float()) for cut_id in chosen])
    if not len(weights) or weights.isnan().any():
        problem = "has values that are NaN or infinite" if len(weights) else "has no frames"
        raise AsrkdError(
            f"{path}: {problem}; take another layer, or --dtype float32, and {make_again(path, store.remake)}"
        )
    contract = store.contract
    return HiddenStatistics(
        num_cuts=len(chosen),
        total_cuts=len(ids),
        layer=int(contract.get("layer", 1)),
        tap=str(contract.get("tap", "after_norm")),
        dim=int(contract.get("dim", 1)),
        spread=WeightSpread.of(weights),
        weights=weights,
    )
