"""Hidden states and posteriors of a teacher as targets; hidden states also computed while training.

Notation: N utterances, T teacher frames after padding, k tokens stored of each
frame, D size of the teacher's layer, V tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lhotse import MonoCut
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asrkd.core.errors import AsrkdError
from asrkd.data.tokens import Tokens
from asrkd.targets.frames import FrameTargets
from asrkd.targets.sources.base import HiddenTargets, ReadSource
from asrkd.targets.sources.live import LiveSource, live_settings
from asrkd.targets.sources.settings import LiveTargets
from asrkd.targets.store.arrays import VALUES, ArrayStore


def hidden_source(targets: LiveTargets | str) -> HiddenTargets:
    """Open the source that a config names: the path of a store, or a live teacher.

    Raises:
        AsrkdError: the source cannot be opened, or holds other targets.
    """
    return HiddenSource(targets) if isinstance(targets, str) else LiveHiddenSource(targets)


class HiddenSource(ReadSource):
    """Outputs of a layer from a store made by ``asrkd distill hidden``; AsrkdError if it cannot be opened."""

    is_live = False

    def __init__(self, path: str) -> None:
        self.store = ArrayStore(Path(path), "hidden")
        self.dim = int(_entry(self.store, "dim"))
        self.frame_shift = float(_entry(self.store, "frame_shift"))

    def fetch(self, cuts: Sequence[MonoCut]) -> FrameTargets:
        """Read the (N, T, D) values of each cut in float32, padded to the longest.

        Raises:
            AsrkdError: a cut has no targets, or its targets are damaged.
        """
        arrays = [self.store.read(cut.id).float() for cut in cuts]
        counts = torch.tensor([len(array) for array in arrays])
        return FrameTargets(pad_sequence(arrays, batch_first=True), counts, self.frame_shift)

    def verify(self, cuts: Sequence[MonoCut]) -> None:
        """Raise AsrkdError unless each cut has hidden states, computed of the same audio."""
        self.store.verify(cuts)

    def live(self) -> "LiveHiddenSource":
        """Return a live source of the store's teacher; AsrkdError if it has changed."""
        return LiveHiddenSource(live_settings(self.store))


class LiveHiddenSource(LiveSource):
    """Outputs of a layer that a teacher computes while the student is trained, float32 (N, T, D).

    Raises:
        AsrkdError: the teacher cannot be opened, no layer is named, or a quantizer is.
    """

    def __init__(self, settings: LiveTargets) -> None:
        if settings.layer is None:
            raise AsrkdError(f"targets of {settings.teacher}: expected a layer of the teacher; add layer: N")
        if settings.quantizer is not None:
            raise AsrkdError(
                f"targets of {settings.teacher}: a quantizer is for the objective codebook alone"
            )
        super().__init__(settings, settings.layer, settings.tap)


@dataclass(frozen=True)
class PosteriorTargets:
    """The likeliest tokens of each teacher frame, with their log-probabilities."""

    log_probs: Tensor  # (N, T, k + 1) in nats, the last of all other tokens together; padding is 0
    tokens: Tensor  # (N, T, k) int64, to which the first k belong
    num_frames: Tensor  # (N,)

    def to(self, device: torch.device) -> "PosteriorTargets":
        """Return a copy on another device."""
        fields = (self.log_probs, self.tokens, self.num_frames)
        return PosteriorTargets(*(field.to(device) for field in fields))


class PosteriorSource(ReadSource):
    """Posteriors from a store made by ``asrkd distill posterior``, for a student of the same tokens.

    Raises:
        AsrkdError: the store cannot be opened, or its posteriors are over other tokens.
    """

    def __init__(self, path: str, tokens: Tokens) -> None:
        self.store = ArrayStore(Path(path), "posterior")
        self.frame_shift = float(_entry(self.store, "frame_shift"))
        stored, wanted = _entry(self.store, "teacher")["tokens"], tokens.identity()
        if stored != wanted:
            raise AsrkdError(
                f"{path}: its posteriors are over other tokens ({str(stored)[:12]}) than the student's "
                f"({wanted[:12]}); use the same tokens for both: asrkd prepare ... --token-source FOLDER"
            )

    def fetch(self, cuts: Sequence[MonoCut]) -> PosteriorTargets:
        """Read the posteriors of each cut, (N, T, k + 1) with tokens (N, T, k), padded to the longest.

        Raises:
            AsrkdError: a cut has no targets, or its targets are damaged.
        """
        values, tokens = zip(*(self.store.read_named(cut.id, VALUES, "tokens") for cut in cuts), strict=True)
        return PosteriorTargets(
            pad_sequence([frames.float() for frames in values], batch_first=True),
            pad_sequence([frames.long() for frames in tokens], batch_first=True),
            torch.tensor([len(frames) for frames in values]),
        )

    def verify(self, cuts: Sequence[MonoCut]) -> None:
        """Raise AsrkdError unless each cut has posteriors, computed of the same audio."""
        self.store.verify(cuts)


def _entry(store: ArrayStore, name: str) -> Any:
    """Return a field of the contract; AsrkdError if it is missing."""
    if name not in store.contract:
        raise AsrkdError(f"{store.path}/contract.json: lacks {name!r}; make the store with: {store.remake}")
    return store.contract[name]
