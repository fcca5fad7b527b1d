"""A teacher that is asked while its student is trained, in the place of a store of its answers.

The loader hands on the cuts themselves. Where the training device is, the
teacher reads their own audio or features (clean: what is done to the
student's input does not reach it) and answers without gradient. It is no part
of the learner, so it is neither trained nor checkpointed nor exported.

Letters: N utterances, T teacher frames, D size of the teacher's layer, C
values made of each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from lhotse import MonoCut
from pydantic import Field
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asrkd.core.config import Section
from asrkd.core.errors import AsrkdError
from asrkd.data.cuts.records import records
from asrkd.models.encoder import Tap
from asrkd.models.frame_timing import offset_problem
from asrkd.quantizer.storage import load_quantizer
from asrkd.targets.frames import FrameTargets
from asrkd.teachers.loading import open_teacher
from asrkd.teachers.teacher import Teacher


class LiveTargets(Section):
    """Whom to ask while training, in place of a store's path."""

    teacher: str  # as `asrkd distill --teacher` has it
    layer: int | None = Field(None, ge=1)  # of the teacher; a quantizer knows its own
    tap: Literal["before_norm", "after_norm"] | None = None  # of that layer; none: what the layer gives
    quantizer: str | None = None  # folder of one, for codebook indexes
    resample: bool = False  # of a teacher that reads audio: take that of other sampling rates too


@dataclass(frozen=True)
class LiveRequest:
    """Cuts about which a teacher is asked where the student is trained."""

    cuts: tuple[MonoCut, ...]
    device: torch.device = torch.device("cpu")

    def to(self, device: torch.device) -> "LiveRequest":
        """The same question on another device."""
        return replace(self, device=device)


class LiveTeacher:
    """A layer of a teacher as a target source; the student's device decides where it runs."""

    def __init__(self, live: LiveTargets, layer: int, place: str | None) -> None:
        """Open the teacher; AsrkdError if there is none, or it has no such ``layer`` or ``place``."""
        self.spec, self._resample = live.teacher, live.resample
        self._opened: dict[str, Teacher] = {}
        teacher = self._open("cpu")
        self.dim, self.frame_shift = teacher.dim, teacher.frame_shift
        self._contract = teacher.contract()
        self.tap: Tap = teacher.tap(layer, place)

    def fetch(self, cuts: Sequence[MonoCut]) -> LiveRequest:
        """The question, which any process can put."""
        return LiveRequest(tuple(cuts))

    @torch.no_grad()
    def ask(self, asked: LiveRequest, take: Callable[[Tensor], Tensor]) -> FrameTargets:
        """What ``take`` makes of each cut's (T, D) embeddings, (T, C), padded to (N, T, C) of the longest.

        Raises:
            AsrkdError: a cut cannot be read.
        """
        teacher = self._open(str(asked.device))
        answers = teacher.embeddings(asked.cuts, [self.tap])
        values = [take(answer.tapped[self.tap].to(asked.device)) for answer in answers]
        counts = torch.tensor([len(own) for own in values], device=asked.device)
        return FrameTargets(pad_sequence(values, batch_first=True), counts, self.frame_shift)

    def verify(self, cuts: Sequence[MonoCut]) -> None:
        """Raise AsrkdError unless the teacher can read each cut, and its frames meet the student's."""
        self._open("cpu").check_cuts(cuts, f"targets of {self.spec}")
        for features in sorted({own.features for own in records(cuts) if own.features is not None}):
            if problem := offset_problem(self._contract, features):
                raise AsrkdError(f"targets of {self.spec}: {problem}; expected a teacher whose frames meet")

    def _open(self, device: str) -> Teacher:
        if device not in self._opened:
            self._opened[device] = open_teacher(self.spec, device, resample=self._resample)
        return self._opened[device]

    def __getstate__(self) -> dict[str, Any]:
        """For loader processes, which never ask: all but the teacher."""
        return self.__dict__ | {"_opened": {}}


def live_identities(live: Sequence[LiveTargets]) -> dict[str, dict[str, Any]]:
    """What decides the answers of teachers that are asked while training.

    Returns:
        What contracts say of each of ``teachers``, its hashes, and the SHA-256 of each of ``quantizers``, by
        the names that the config has.
    """
    teachers = sorted({own.teacher for own in live})
    quantizers = sorted({own.quantizer for own in live if own.quantizer is not None})
    return {
        "teachers": {spec: open_teacher(spec).contract()["teacher"] for spec in teachers},
        "quantizers": {path: load_quantizer(Path(path)).identity for path in quantizers},
    }
