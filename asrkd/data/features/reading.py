"""Features of cuts as tensors.

Letters: N cuts, T feature frames, F features.
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
    """What features a model reads; taken from the cuts it is trained on, checked on every other."""

    type: str  # lhotse's name of the extractor
    num_features: int = Field(ge=1)
    frame_shift: float = Field(gt=0)  # seconds
    sampling_rate: int = Field(ge=1)  # Hz


def load_features(cut: MonoCut) -> Tensor:
    """The stored (T, F) features of a cut.

    Raises:
        AsrkdError: it has none, or they cannot be read; the cut is named.
    """
    if not cut.has_features:
        raise AsrkdError(f"cut {cut.id}: has no features; make them with: asrkd prepare cuts")
    try:
        return torch.from_numpy(cut.load_features())
    except Exception as error:  # each storage backend raises its own
        raise AsrkdError(
            f"cut {cut.id}: features in {cut.features.storage_path} cannot be read ({reason(error)}); "
            "make them anew with: asrkd prepare"
        ) from None


def feature_config(cuts: Sequence[MonoCut], where: str) -> FeatureConfig:
    """What all ``cuts`` have in common in their features; ``where`` is the manifest, for messages.

    Raises:
        AsrkdError: a cut has none, or others than the first.
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
