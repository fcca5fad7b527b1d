"""Teacher interface: embeddings of cuts from the layers of an encoder, whatever its family.

``asrkd distill`` and live target sources use this interface alone::

    teacher = open_teacher(spec, "cpu")              # asrkd.teachers.loading
    teacher.check_cuts(cuts, "cuts_train.jsonl.gz")  # before the first step
    tap = teacher.tap(6)
    for embedded in teacher.embeddings(cuts, [tap]):
        embedded.tapped[tap]                         # (T, D), every teacher.frame_shift seconds

Embeddings of a cut depend on that cut alone. On CPU each cut is encoded by
itself (with one thread, see :mod:`asrkd.core.parallel`, where bytes matter);
on a GPU neighbors in the list form a batch, if the family's encoder keeps
utterances of a batch apart.

Notation: T frames of a cut, D size of a layer.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from lhotse import MonoCut
from torch import Tensor

from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command
from asrkd.models.encoder import Tap
from asrkd.models.recognizer import LoadedModel


@dataclass(frozen=True)
class Embedded:
    """Embeddings of one cut, on the CPU in float32."""

    cut: MonoCut
    tapped: dict[Tap, Tensor]  # each (T, D)


class Teacher(ABC):
    """Encoder of layers 1 to ``num_layers``; a frame every ``frame_shift`` seconds."""

    name: str  # name on the command line: a path, or a bundle's name
    num_layers: int
    frame_shift: float  # seconds
    weights_sha256: str  # hex, of the file of weights
    device: torch.device

    @abstractmethod
    def places(self, layer: int) -> Collection[str]:
        """Return where ``layer`` can be tapped, the default first: 'after_norm', 'before_norm'."""

    @abstractmethod
    def layer_dim(self, tap: Tap) -> int:
        """Return D, the size of the values at ``tap``, which is from :meth:`tap`."""

    @abstractmethod
    def check_cuts(self, cuts: Sequence[MonoCut], where: str) -> None:
        """Raise AsrkdError unless the teacher can encode each of ``cuts``, of manifest ``where``."""

    @abstractmethod
    def embeddings(self, cuts: Sequence[MonoCut], taps: Collection[Tap]) -> Iterator[Embedded]:
        """Compute the (T, D) values of the tapped layers for each cut, in order.

        Args:
            cuts: cuts that passed :meth:`check_cuts`.
            taps: places from :meth:`tap`.

        Raises:
            AsrkdError: features or audio of a cut cannot be read.
        """

    @abstractmethod
    def contract(self) -> dict[str, Any]:
        """Return the teacher's part of a store's contract: JSON-able, without paths and times.

        Its keys are ``teacher`` (hashes, family), ``frame_shift``,
        ``first_frame_offset``, ``length_rule`` (see
        :mod:`asrkd.models.frame_timing`), and the input: ``features`` or
        ``audio``.
        """

    def versions(self) -> dict[str, str]:
        """Return the versions of the libraries that compute the embeddings, beside torch and lhotse."""
        return {}

    def tap(self, layer: int, place: str | None = None) -> Tap:
        """Return the tap at a layer.

        Args:
            layer: number of the layer, from 1.
            place: 'after_norm' or 'before_norm', relative to the layer's final
                norm; None for the layer's output, the first of :meth:`places`.

        Raises:
            AsrkdError: the teacher has no such layer, or the layer no such place.
        """
        if not 1 <= layer <= self.num_layers:
            raise AsrkdError(f"--layer {layer}: the encoder has layers 1 to {self.num_layers}")
        places = list(self.places(layer))
        if place is None:
            place = places[0]
        if place not in places:
            raise AsrkdError(
                f"--tap {place}: layer {layer} of {self.name} can be tapped {' and '.join(places)} only; "
                f"give --tap {places[0]}"
            )
        return Tap(layer, "before_norm" if place == "before_norm" else "after_norm")

    def recognizer(self, kind: str) -> LoadedModel:
        """Return the recognizer with its tokens, for targets over text.

        Args:
            kind: kind of targets, as a command of ``asrkd distill``; for the message.

        Raises:
            AsrkdError: the teacher is an encoder without tokens that asrkd can read.
        """
        refuse_encoder(self.name, kind)


def refuse_encoder(name: str, kind: str) -> NoReturn:
    """Raise AsrkdError: an encoder without tokens cannot be the teacher of targets over text.

    Args:
        name: teacher, as on the command line.
        kind: kind of targets, as a command of ``asrkd distill``.
    """
    over_text = "hypotheses" if kind == "nbest" else "probabilities of tokens"
    needs_tokens = command("asrkd", "distill", kind)
    raise AsrkdError(
        f"{name}: {over_text} need a model trained by asrkd; asrkd reads only the encoder of this one (of a "
        f"Whisper too), and an encoder without tokens cannot be the teacher of: {needs_tokens}; "
        "use its embeddings: asrkd distill codebook, hidden or quantizer"
    )


def check_quantizer(path: Path, contract: dict[str, Any], teacher: Teacher) -> Tap:
    """Return the tap whose embeddings the quantizer at ``path`` encodes.

    Args:
        path: folder of the quantizer, for the message.
        contract: contract of the quantizer.
        teacher: teacher whose embeddings are to be encoded.

    Raises:
        AsrkdError: the quantizer was trained on another teacher, or its contract names no layer.
    """
    trained_on, identity = contract.get("teacher", {}), teacher.contract()["teacher"]
    for key in identity:
        if (key in trained_on or key == "weights_sha256") and trained_on.get(key) != identity[key]:
            raise AsrkdError(
                f"{path}: was trained on another teacher ({key} {str(trained_on.get(key))[:12]}, "
                f"{teacher.name} has {identity[key][:12]}); train one with: asrkd distill quantizer"
            )
    if "layer" not in contract:
        raise AsrkdError(f"{path}: its contract names no layer; train one with: asrkd distill quantizer")
    return teacher.tap(contract["layer"], contract.get("tap"))
