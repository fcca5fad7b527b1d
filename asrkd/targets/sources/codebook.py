"""Codebook indexes of a teacher as targets, from a store or computed while the student is trained."""

from collections.abc import Sequence
from pathlib import Path

import torch
from lhotse import MonoCut
from torch import Tensor

from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command
from asrkd.quantizer.storage import load_quantizer
from asrkd.targets.frames import FrameTargets
from asrkd.targets.sources.base import CodebookTargets, ReadSource
from asrkd.targets.sources.live import LiveLayer, LiveRequest, live_settings
from asrkd.targets.sources.settings import LiveTargets
from asrkd.targets.store.arrays import ArrayStore
from asrkd.teachers.loading import open_teacher
from asrkd.teachers.teacher import check_quantizer


def codebook_source(targets: LiveTargets | str) -> CodebookTargets:
    """Open the source that a config names: the path of a store, or a live teacher.

    Raises:
        AsrkdError: the source cannot be opened, or holds other targets.
    """
    return CodebookSource(targets) if isinstance(targets, str) else LiveCodebookSource(targets)


class CodebookSource(ReadSource):
    """Codebook indexes from a store made by ``asrkd distill codebook``.

    Raises:
        AsrkdError: the store cannot be opened, or its contract lacks the quantizer.
    """

    is_live = False

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
        """Read the indexes of each cut, uint8 (N, T, codebooks), padded to the longest.

        Raises:
            AsrkdError: a cut has no indexes, or its indexes are damaged.
        """
        arrays = [self.store.read(cut.id) for cut in cuts]
        values = torch.nn.utils.rnn.pad_sequence(arrays, batch_first=True)
        counts = torch.tensor([len(array) for array in arrays])
        return FrameTargets(values, counts, self.frame_shift)

    def verify(self, cuts: Sequence[MonoCut], student_shift: float | None = None) -> None:
        """Raise AsrkdError unless each cut has indexes, computed of the same audio."""
        self.store.verify(cuts, student_shift)

    def live(self) -> "LiveCodebookSource":
        """Return a live source of the store's teacher and quantizer; AsrkdError if they have changed."""
        return LiveCodebookSource(live_settings(self.store))


class LiveCodebookSource(LiveLayer):
    """Codebook indexes that a teacher and a quantizer compute while the student is trained.

    Raises:
        AsrkdError: teacher or quantizer cannot be opened, or the quantizer was trained on another teacher.
    """

    def __init__(self, settings: LiveTargets) -> None:
        options = ("--teacher", Path(settings.teacher), "--cuts", "...", "--out", "...")
        maker = command("asrkd", "distill", "quantizer", *options)
        if settings.quantizer is None:
            raise AsrkdError(
                f"targets of {settings.teacher}: expected a quantizer beside the teacher; make one with: "
                f"{maker}"
            )
        path = Path(settings.quantizer)
        loaded = load_quantizer(path)
        teacher = open_teacher(settings.teacher, resample=settings.resample)
        tap = check_quantizer(path, loaded.contract, teacher)
        for name, wanted, trained in (("layer", settings.layer, tap.layer), ("tap", settings.tap, tap.place)):
            if wanted not in (None, trained):
                raise AsrkdError(
                    f"targets of {settings.teacher}: {name} {wanted}, but {path} is of {name} {trained}; "
                    f"remove {name}, or make a quantizer of it with: {maker}"
                )
        super().__init__(settings, tap.layer, tap.place)
        self._quantizer = loaded.quantizer
        self.num_codebooks: int = loaded.quantizer.num_codebooks
        self.codebook_size: int = loaded.quantizer.codebook_size

    def finish(self, fetched: LiveRequest) -> FrameTargets:
        """Compute the indexes, uint8 (N, T, codebooks), on the device of the request."""
        self._quantizer.to(fetched.device)
        return super().finish(fetched)

    def values(self, embeddings: Tensor) -> Tensor:
        """Encode the (T, D) embeddings of a cut as indexes, uint8 (T, codebooks)."""
        return self._quantizer.encode(embeddings).to(torch.uint8)
