"""A teacher's codebook indexes as targets."""

from collections.abc import Sequence
from pathlib import Path

import torch
from lhotse import MonoCut

from asrkd.errors import AsrkdError
from asrkd.targets.alignment import ratio
from asrkd.targets.array_store import ArrayStore
from asrkd.targets.frames import FrameTargets


class CodebookSource:
    """Codebook indexes from a store made by ``asrkd distill codebook``."""

    def __init__(self, path: str) -> None:
        self.store = ArrayStore(Path(path), "codebook")
        try:
            quantizer = self.store.contract["quantizer"]
            self.num_codebooks: int = quantizer["num_codebooks"]
            self.codebook_size: int = quantizer["codebook_size"]
            self.frame_shift: float = self.store.contract["frame_shift"]
        except (KeyError, TypeError) as error:
            raise AsrkdError(
                f"{path}/contract.json: lacks {error}; make the store with: asrkd distill codebook"
            ) from None

    def stacking(self, student_frame_shift: float) -> int:
        """Teacher frames that one student frame predicts together.

        Raises:
            AsrkdError: the two rates do not meet.
        """
        try:
            return ratio(student_frame_shift, self.frame_shift)[0]
        except ValueError as error:
            raise AsrkdError(f"{self.store.path}: {error}") from None

    def fetch(self, cuts: Sequence[MonoCut]) -> FrameTargets:
        """The indexes of each cut, padded to the longest."""
        arrays = [self.store.read(cut.id) for cut in cuts]
        values = torch.nn.utils.rnn.pad_sequence(arrays, batch_first=True)
        return FrameTargets(values, torch.tensor([len(array) for array in arrays]), self.frame_shift)

    def verify(self, cuts: Sequence[MonoCut]) -> None:
        """Raise AsrkdError unless each cut has indexes, made of its own audio."""
        self.store.verify(cuts)
