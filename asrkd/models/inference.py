"""Inference: a recognizer's outputs for cuts, each of which depends on its cut alone.

On CPU each cut is run by itself, on one thread (see :mod:`asrkd.core.parallel`),
as batches would change the last bits. On a GPU a batch is a run of neighbors
in the list of cuts; pass whole shards.

Notation: T' feature frames, F features, T encoder frames, V tokens, D model size.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from lhotse import MonoCut
from torch import Tensor

from asrkd.core import faults
from asrkd.core.errors import AsrkdError
from asrkd.data.features.reading import collate, feature_config, load_features
from asrkd.models.encoder import Tap
from asrkd.models.recognizer import LoadedModel

GPU_BATCH = 16  # cuts


@dataclass(frozen=True)
class CutOutputs:
    """Outputs of a recognizer for one cut, on the CPU in float32."""

    cut: MonoCut
    log_probs: Tensor  # (T, V) of the CTC head, in nats; (T, 0) without a CTC head
    tapped: dict[Tap, Tensor]  # each (T, size of the layer)
    encoded: Tensor | None = None  # (T, D) that a decoder or transducer reads; None without them


def check_features(model: LoadedModel, cuts: Sequence[MonoCut], where: str) -> None:
    """Raise AsrkdError unless ``cuts``, of manifest ``where``, have the features that the model reads."""
    features, expected = feature_config(cuts, where), model.architecture.features
    if features != expected:
        fields = type(expected).model_fields
        name = next(name for name in fields if getattr(features, name) != getattr(expected, name))
        raise AsrkdError(
            f"{where}: {name} of the features is {getattr(features, name)}, the model {model.path} "
            f"reads {getattr(expected, name)}; prepare the cuts as its training data"
        )


def check_ctc(model: LoadedModel) -> None:
    """Raise AsrkdError unless the model has a CTC head."""
    if not model.recognizer.has_ctc:
        raise AsrkdError(
            f"{model.path}: an attention model without a CTC head, which is needed here; "
            "train it with model.ctc: true, and the objective ctc beside attention"
        )


@torch.no_grad()
def encode_cuts(
    model: LoadedModel,
    cuts: Sequence[MonoCut],
    taps: Collection[Tap] = (),
    read: Callable[[MonoCut], Tensor] = load_features,
) -> Iterator[CutOutputs]:
    """Run the encoder and the CTC head on each cut, in order.

    Args:
        model: recognizer, on any device.
        cuts: cuts with the features that the model reads.
        taps: taps whose values are returned too.
        read: function that reads the (T', F) features of a cut.

    Raises:
        AsrkdError: the features of a cut cannot be read.
        ValueError: the encoder has no such layer, or the layer no such place.
    """
    device = next(model.recognizer.parameters()).device
    size = 1 if device.type == "cpu" else GPU_BATCH
    for start in range(0, len(cuts), size):
        group = cuts[start : start + size]
        features, num_frames = collate([read(cut) for cut in group])
        output = model.recognizer(features.to(device), num_frames.to(device), taps)
        frames = output.log_probs() if model.recognizer.has_ctc else output.memory()[..., :0]
        log_probs, counts = frames.cpu(), output.num_frames.tolist()
        encoded = output.memory().float().cpu() if model.recognizer.reads_encoded else None
        tapped = {tap: value.float().cpu() for tap, value in output.tapped.items()}
        for row, (cut, count) in enumerate(zip(group, counts, strict=True)):
            values = {tap: value[row, :count] for tap, value in tapped.items()}
            memory = None if encoded is None else encoded[row, :count]
            faults.strike("answer")
            yield CutOutputs(cut, log_probs[row, :count], values, memory)
