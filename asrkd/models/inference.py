"""Asking a recognizer about cuts, so that an answer depends on its cut alone.

On CPU each cut is run by itself, on one thread (see :mod:`asrkd.core.parallel`):
batches would change the last bits. On a GPU, where single cuts would waste
it, a batch is a run of neighbors in the list that is given; give whole
shards.

Letters: T' feature frames, F features, T encoder frames, V tokens, D model size.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from lhotse import MonoCut
from torch import Tensor

from asrkd.core import faults
from asrkd.core.errors import AsrkdError
from asrkd.data.features.reading import collate, feature_config, load_features
from asrkd.models.conformer import Tap
from asrkd.models.directory import LoadedModel

GPU_BATCH = 16  # cuts


@dataclass(frozen=True)
class Answer:
    """What a recognizer says of one cut, on the CPU in float32."""

    cut: MonoCut
    log_probs: Tensor  # (T, V) of the CTC head, in nats; (T, 0) where there is none
    tapped: dict[Tap, Tensor]  # each (T, D)
    encoded: Tensor | None = None  # (T, D) that a decoder attends to, where there is one


def check_features(model: LoadedModel, cuts: Sequence[MonoCut], where: str) -> None:
    """Raise AsrkdError unless ``cuts`` (of manifest ``where``) have the features that the model reads."""
    found, wanted = feature_config(cuts, where), model.architecture.features
    if found != wanted:
        names = [name for name in type(wanted).model_fields if getattr(found, name) != getattr(wanted, name)]
        raise AsrkdError(
            f"{where}: {names[0]} of the features is {getattr(found, names[0])}, the model {model.path} "
            f"reads {getattr(wanted, names[0])}; prepare the cuts as those it was trained on"
        )


def check_ctc(model: LoadedModel) -> None:
    """Raise AsrkdError unless the model has a CTC head, which searches over frames need."""
    if not model.recognizer.has_ctc:
        raise AsrkdError(
            f"{model.path}: an attention model without a CTC head, which this needs; "
            "train it with ctc: true in its config's model, and the objective ctc beside attention"
        )


@torch.no_grad()
def answers(
    model: LoadedModel,
    cuts: Sequence[MonoCut],
    taps: Collection[Tap] = (),
    read: Callable[[MonoCut], Tensor] = load_features,
) -> Iterator[Answer]:
    """The model's answer to each cut, in order.

    Args:
        model: on any device.
        cuts: with features that fit the model.
        taps: layers whose values are wanted as well.
        read: gives the (T', F) features of a cut.

    Raises:
        AsrkdError: the features of a cut cannot be read.
        ValueError: a tap names a layer, or a place in it, that there is not.
    """
    device = next(model.recognizer.parameters()).device
    size = 1 if device.type == "cpu" else GPU_BATCH
    for start in range(0, len(cuts), size):
        group = cuts[start : start + size]
        features, num_frames = collate([read(cut) for cut in group])
        output = model.recognizer(features.to(device), num_frames.to(device), taps)
        frames = output.log_probs() if model.recognizer.has_ctc else output.memory()[..., :0]
        log_probs, counts = frames.cpu(), output.num_frames.tolist()
        encoded = output.memory().float().cpu() if model.recognizer.has_decoder else None
        tapped = {tap: value.float().cpu() for tap, value in output.tapped.items()}
        for row, (cut, count) in enumerate(zip(group, counts, strict=True)):
            own = {tap: value[row, :count] for tap, value in tapped.items()}
            memory = None if encoded is None else encoded[row, :count]
            faults.strike("answer")
            yield Answer(cut, log_probs[row, :count], own, memory)
