"""A teacher's codebook indexes as targets, stored or made while the student is trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from lhotse import MonoCut
from torch import Tensor

from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command
from asrkd.quantizer.storage import load_quantizer
from asrkd.targets.frames import FrameTargets
from asrkd.targets.sources.base import ReadSource, TargetSource
from asrkd.targets.sources.live import LiveRequest, LiveTargets, LiveTeacher
from asrkd.targets.store.arrays import ArrayStore
from asrkd.teachers.loading import open_teacher
from asrkd.teachers.teacher import check_quantizer


class CodebookTargets(TargetSource, Protocol):
    """Indexes, uint8 (N, T, codebooks), and how many there are of what size."""

    num_codebooks: int
    codebook_size: int
    frame_shift: float  # seconds between the teacher's frames


def codebook_source(targets: LiveTargets | str) -> CodebookTargets:
    """The source that a config names: a store's path, or a teacher to be asked.

    Raises:
        AsrkdError: it cannot be opened, or is of something else.
    """
    return CodebookSource(targets) if isinstance(targets, str) else LiveCodebookSource(targets)


class CodebookSource(ReadSource):
    """Codebook indexes from a store made by ``asrkd distill codebook``.

    Raises:
        AsrkdError: it cannot be opened, or does not say what its indexes are of.
    """

    def __init__(self, path: str) -> None:
        self.store = ArrayStore(Path(path), "codebook")
        try:
            quantizer = self.store.contract["quantizer"]
            self.num_codebooks: int = quantizer["num_codebooks"]
            self.codebook_size: int = quantizer["codebook_size"]
            self.frame_shift: float = self.store.contract["frame_shift"]
        except (KeyError, TypeError) as error:
            raise AsrkdError(
                f"{path}/contract.json: lacks {error}; make the store with: {self.store.remake}"
            ) from None

    def fetch(self, cuts: Sequence[MonoCut]) -> FrameTargets:
        """The indexes of each cut, uint8 (N, T, codebooks), padded to the longest.

        Raises:
            AsrkdError: a cut has none, or they are damaged.
        """
        arrays = [self.store.read(cut.id) for cut in cuts]
        values = torch.nn.utils.rnn.pad_sequence(arrays, batch_first=True)
        counts = torch.tensor([len(array) for array in arrays])
        return FrameTargets(values, counts, self.frame_shift)

    def verify(self, cuts: Sequence[MonoCut]) -> None:
        """Raise AsrkdError unless each cut has indexes, made of its own audio."""
        self.store.verify(cuts)


class LiveCodebookSource:
    """Codebook indexes of a teacher that is asked, and encoded, while the student is trained.

    Raises:
        AsrkdError: teacher or quantizer cannot be opened, or one is not for the other.
    """

    def __init__(self, live: LiveTargets) -> None:
        options = ("--teacher", Path(live.teacher), "--cuts", "...", "--out", "...")
        maker = command("asrkd", "distill", "quantizer", *options)
        if live.quantizer is None:
            raise AsrkdError(
                f"targets of {live.teacher}: expected a quantizer beside the teacher; make one with: {maker}"
            )
        path = Path(live.quantizer)
        loaded = load_quantizer(path)
        teacher = open_teacher(live.teacher, resample=live.resample)
        tap = check_quantizer(path, loaded.contract, teacher)
        for name, asked, found in (("layer", live.layer, tap.layer), ("tap", live.tap, tap.place)):
            if asked not in (None, found):
                raise AsrkdError(
                    f"targets of {live.teacher}: {name} {asked}, but {path} is of {name} {found}; leave "
                    f"{name} out, or make a quantizer of it with: {maker}"
                )
        self._quantizer = loaded.quantizer
        self.num_codebooks: int = loaded.quantizer.num_codebooks
        self.codebook_size: int = loaded.quantizer.codebook_size
        self.teacher = LiveTeacher(live, tap.layer, tap.place)
        self.frame_shift = self.teacher.frame_shift

    def fetch(self, cuts: Sequence[MonoCut]) -> LiveRequest:
        """The question, which any process can put."""
        return self.teacher.fetch(cuts)

    def finish(self, fetched: LiveRequest) -> FrameTargets:
        """The teacher's answer, uint8 (N, T, codebooks), on the device of the question."""
        self._quantizer.to(fetched.device)
        return self.teacher.ask(fetched, self._encode)

    def verify(self, cuts: Sequence[MonoCut]) -> None:
        """Raise AsrkdError unless the teacher can read each cut."""
        self.teacher.verify(cuts)

    def _encode(self, embeddings: Tensor) -> Tensor:
        return self._quantizer.encode(embeddings).to(torch.uint8)
