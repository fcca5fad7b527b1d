"""Reading of the stored features of cuts as tensors.

Notation: N cuts, T feature frames, F features.
"""

from collections.abc import Sequence

import torch
from lhotse import MonoCut
from pydantic import Field
from torch import Tensor

from asrkd.core.config import Section
from asrkd.core.errors import AsrkdError, reason
from asrkd.data.cuts.records import FeatureKind, records


class FeatureConfig(Section):
    """Features that a model reads: those of its training cuts, which all other cuts must have."""

    type: str  # lhotse's name of the extractor
    num_features: int = Field(ge=1)
    frame_shift: float = Field(gt=0)  # seconds
    sampling_rate: int = Field(ge=1)  # Hz


def load_features(cut: MonoCut) -> Tensor:
    """Read the stored (T, F) features of a cut.

    Raises:
        AsrkdError: the cut has no features, or they cannot be read.
    """
    if not cut.has_features:
        raise AsrkdError(f"cut {cut.id}: has no features; make them with: asrkd prepare cuts")
    try:
        return torch.from_numpy(cut.load_features())
    except Exception as error:  # each storage backend raises its own
        raise AsrkdError(
            f"cut {cut.id}: features in {cut.features.storage_path} cannot be read ({reason(error)}); "
            "make them again with: asrkd prepare"
        ) from None


def feature_config(cuts: Sequence[MonoCut], where: str) -> FeatureConfig:
    """Return the common feature type of all ``cuts``; ``where`` is the manifest, for messages.

    Raises:
        AsrkdError: a cut has no features, or other features than the first.
    """
    first: FeatureKind | None = None
    for cut in records(cuts):
        if cut.features is None:
            raise AsrkdError(f"{where}: cut {cut.id} has no features; make them with: asrkd prepare cuts")
        first = first or cut.features
        if cut.features != first:
            raise AsrkdError(f"{where}: cut {cut.id} has features {cut.features}, the first cut {first}")
    if first is None:
        raise AsrkdError(f"{where}: holds no cuts")
    return FeatureConfig(**first._asdict())


def collate(features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Pad N features (T, F) with zeros into (N, T, F), and count their frames, (N,) int64."""
    padded = torch.nn.utils.rnn.pad_sequence(list(features), batch_first=True)
    return padded, torch.tensor([len(item) for item in features])
