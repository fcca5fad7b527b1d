"""Live targets: a teacher computes them while its student is trained, in place of a store.

The loader passes the cuts themselves. On the training device the teacher
reads their audio or features, clean: augmentation of the student's input does
not reach it. It computes without gradient and is no part of the learner, so
it is neither trained nor checkpointed nor exported.

Notation: N utterances, T teacher frames, D size of the teacher's layer, C
values of each frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from lhotse import MonoCut
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asrkd.core.errors import AsrkdError
from asrkd.data.cuts.records import records
from asrkd.models.frame_timing import offset_problem
from asrkd.quantizer.storage import load_quantizer
from asrkd.targets.frames import FrameTargets
from asrkd.targets.sources.settings import LiveTargets
from asrkd.targets.store.provenance import check_sources, read_sources
from asrkd.targets.store.store import Store
from asrkd.teachers.loading import open_teacher
from asrkd.teachers.teacher import Teacher

Source = TypeVar("Source", bound="LiveSource")


@dataclass(frozen=True)
class LiveRequest:
    """Cuts whose targets are to be computed on a device."""

    cuts: tuple[MonoCut, ...]
    device: torch.device = torch.device("cpu")

    def to(self, device: torch.device) -> "LiveRequest":
        """Return the request for another device."""
        return replace(self, device=device)


class LiveSource:
    """A teacher that computes targets on the student's device."""

    is_live = True

    def __init__(self, settings: LiveTargets) -> None:
        """Open the teacher; AsrkdError if there is none."""
        self.spec, self._resample = settings.teacher, settings.resample
        self._teachers: dict[str, Teacher] = {}  # by device
        teacher = self.teacher("cpu")
        self.frame_shift = teacher.frame_shift
        self._contract = teacher.contract()

    def live(self: Source) -> Source:
        """Return the source itself."""
        return self

    def fetch(self, cuts: Sequence[MonoCut]) -> LiveRequest:
        """Return the cuts as a request; this runs in any process."""
        return LiveRequest(tuple(cuts))

    def verify(self, cuts: Sequence[MonoCut], student_shift: float | None = None) -> None:
        """Raise AsrkdError unless the teacher can read each cut, and its frames fit the student's."""
        self.teacher("cpu").check_cuts(cuts, f"targets of {self.spec}")
        for features in sorted({record.features for record in records(cuts) if record.features is not None}):
            if problem := offset_problem(self._contract, features, student_shift):
                raise AsrkdError(
                    f"targets of {self.spec}: its frames {problem}; use a teacher whose first frame is where "
                    "the student's is"
                )

    def teacher(self, device: torch.device | str) -> Teacher:
        """Return the teacher on a device, which is opened once."""
        device = str(device)
        if device not in self._teachers:
            self._teachers[device] = open_teacher(self.spec, device, resample=self._resample)
        return self._teachers[device]

    def __getstate__(self) -> dict[str, Any]:
        """Leave the teacher out: loader processes never compute with it."""
        return self.__dict__ | {"_teachers": {}}


class LiveLayer(LiveSource):
    """Embeddings of a teacher's layer."""

    def __init__(self, settings: LiveTargets, layer: int, place: str | None) -> None:
        """Open the teacher; AsrkdError if there is none, or it has no such ``layer`` or ``place``."""
        super().__init__(settings)
        teacher = self.teacher("cpu")
        try:
            self.tap = teacher.tap(layer, place)
        except AsrkdError as error:  # it names options of the command line, which are keys here
            raise AsrkdError(f"targets of {self.spec}: {str(error).replace('--', '')}") from None
        self.dim = teacher.layer_dim(self.tap)

    @torch.no_grad()
    def finish(self, fetched: LiveRequest) -> FrameTargets:
        """Compute the targets (N, T, C) on the device of the request, padded to the longest.

        Raises:
            AsrkdError: a cut cannot be read.
        """
        embedded = self.teacher(fetched.device).embeddings(fetched.cuts, [self.tap])
        values = [self.values(of_cut.tapped[self.tap].to(fetched.device)) for of_cut in embedded]
        counts = torch.tensor([len(frames) for frames in values], device=fetched.device)
        return FrameTargets(pad_sequence(values, batch_first=True), counts, self.frame_shift)

    def values(self, embeddings: Tensor) -> Tensor:
        """Compute the targets (T, C) of a cut from its (T, D) embeddings; here the embeddings themselves."""
        return embeddings


def live_settings(store: Store) -> LiveTargets:
    """Return the settings of a live source that computes the targets of a store for any cuts.

    Raises:
        AsrkdError: the store does not record its teacher, or teacher or quantizer are gone or have changed.
    """
    sources = read_sources(store.path)
    if sources is None or sources.teacher is None:
        raise AsrkdError(f"{store.path}: does not record its teacher")
    check_sources(store.path, store.contract)
    if sources.quantizer is not None and not sources.quantizer.is_dir():
        raise AsrkdError(f"{store.path}: its quantizer {sources.quantizer} is no longer there")
    return LiveTargets(
        teacher=str(sources.teacher),
        layer=store.contract.get("layer"),
        tap=store.contract.get("tap", "after_norm") if "layer" in store.contract else None,
        quantizer=None if sources.quantizer is None else str(sources.quantizer),
        resample=store.contract.get("audio", {}).get("other_rates", "refused") != "refused",
    )


def live_identities(live: Sequence[LiveTargets]) -> dict[str, dict[str, Any]]:
    """Return the identities of teachers and quantizers that compute live targets, for the lineage of a run.

    Returns:
        ``teachers``, each as a contract records it, with its hashes; and ``quantizers``, each by the
        SHA-256 of its weights. Both have their names in the config as keys.
    """
    teachers = sorted({settings.teacher for settings in live})
    quantizers = sorted({settings.quantizer for settings in live if settings.quantizer is not None})
    return {
        "teachers": {spec: open_teacher(spec).contract()["teacher"] for spec in teachers},
        "quantizers": {path: load_quantizer(Path(path)).identity for path in quantizers},
    }
