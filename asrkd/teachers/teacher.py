"""A teacher: layers that can be asked for embeddings of cuts, whatever family of models it is of.

`distill`, and a live target source, see this interface alone::

    teacher = open_teacher(spec, "cpu")            # asrkd.teachers.loading
    teacher.check_cuts(cuts, "where they are from")  # before the first step
    tap = teacher.tap(6)
    for embedded in teacher.embeddings(cuts, [tap]):
        embedded.tapped[tap]                       # (T, D), every teacher.frame_shift seconds

What an answer is like depends on its cut alone: on CPU each cut is run by
itself (give the process one thread, see :mod:`asrkd.core.parallel`, where bytes
matter); on a GPU neighbors in the list are run together, if the family can
do that without one seeing the other.

Letters: T frames of a cut, D size of a layer.
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
from asrkd.models.conformer import Tap
from asrkd.models.directory import LoadedModel


@dataclass(frozen=True)
class Embedded:
    """What a teacher's layers hold of one cut, on the CPU in float32."""

    cut: MonoCut
    tapped: dict[Tap, Tensor]  # each (T, D)


class Teacher(ABC):
    """Layers 1 to ``num_layers``, each of size ``dim``, with a frame every ``frame_shift`` seconds."""

    name: str  # as it was given: a path, or a name
    dim: int  # D
    num_layers: int
    frame_shift: float  # seconds
    weights_sha256: str  # hex, of the file that holds the weights
    device: torch.device

    @abstractmethod
    def places(self, layer: int) -> Collection[str]:
        """Where layer ``layer`` can be tapped, the usual place first: 'after_norm', 'before_norm'."""

    @abstractmethod
    def check_cuts(self, cuts: Sequence[MonoCut], where: str) -> None:
        """Raise AsrkdError unless the teacher can read each of ``cuts``, of manifest ``where``."""

    @abstractmethod
    def embeddings(self, cuts: Sequence[MonoCut], taps: Collection[Tap]) -> Iterator[Embedded]:
        """The (T, D) values of the tapped layers for each cut, in order.

        Args:
            cuts: that :meth:`check_cuts` has passed.
            taps: from :meth:`tap`.

        Raises:
            AsrkdError: what the teacher reads of a cut cannot be read.
        """

    @abstractmethod
    def contract(self) -> dict[str, Any]:
        """What a store says of its teacher: JSON-able, without paths and times.

        ``teacher`` (hashes, family), ``frame_shift``, ``first_frame_offset``,
        ``length_rule`` (see :mod:`asrkd.models.frame_timing`), what the input
        is (``features`` or ``audio``).
        """

    def versions(self) -> dict[str, str]:
        """Of the libraries that compute the embeddings, beside torch and lhotse."""
        return {}

    def tap(self, layer: int, place: str | None = None) -> Tap:
        """A place to be asked about.

        Args:
            layer: from 1.
            place: 'after_norm' or 'before_norm', of the layer's final norm;
                None for what the layer itself gives, which is the first of :meth:`places`.

        Raises:
            AsrkdError: there is no such layer, or no such place in it.
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
        """The recognizer with its tokens, for questions about text.

        Args:
            kind: of the question, as ``asrkd distill`` calls it.

        Raises:
            AsrkdError: the teacher is an encoder without tokens that asrkd knows.
        """
        self._refuse(kind)

    def _refuse(self, kind: str) -> NoReturn:
        question = command("asrkd", "distill", kind)
        raise AsrkdError(
            f"{self.name}: an encoder without tokens, so it has no answer to: {question}; "
            "it can be asked for embeddings: asrkd distill codebook, hidden or quantizer"
        )


def check_quantizer(path: Path, made: dict[str, Any], teacher: Teacher) -> Tap:
    """The place that the quantizer at ``path`` is for.

    Args:
        path: of the quantizer, for the error.
        made: its contract.
        teacher: whose embeddings it is to encode.

    Raises:
        AsrkdError: it was trained on another teacher.
    """
    theirs, ours = made.get("teacher", {}), teacher.contract()["teacher"]
    for key in ours:
        if (key in theirs or key == "weights_sha256") and theirs.get(key) != ours[key]:
            raise AsrkdError(
                f"{path}: was trained on another teacher ({key} {str(theirs.get(key))[:12]}, "
                f"{teacher.name} has {ours[key][:12]}); make one with: asrkd distill quantizer"
            )
    if "layer" not in made:
        raise AsrkdError(f"{path}: does not say of which layer it is; make one with: asrkd distill quantizer")
    return teacher.tap(made["layer"], made.get("tap"))
