"""A teacher's hidden states and posteriors as targets; the former also made while the student is trained.

Letters: N utterances, T teacher frames after padding, k tokens stored of each
frame, D size of the teacher's layer, V tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from lhotse import MonoCut
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asrkd.core.errors import AsrkdError
from asrkd.data.tokens import Tokens
from asrkd.targets.frames import FrameTargets
from asrkd.targets.sources.base import ReadSource, TargetSource
from asrkd.targets.sources.live import LiveRequest, LiveTargets, LiveTeacher
from asrkd.targets.store.arrays import VALUES, ArrayStore


class HiddenTargets(TargetSource, Protocol):
    """A layer's embeddings, float32 (N, T, D)."""

    dim: int  # D
    frame_shift: float  # seconds between the teacher's frames


def hidden_source(targets: LiveTargets | str) -> HiddenTargets:
    """The source that a config names: a store's path, or a teacher to be asked.

    Raises:
        AsrkdError: it cannot be opened, or is of something else.
    """
    return HiddenSource(targets) if isinstance(targets, str) else LiveHiddenSource(targets)


class HiddenSource(ReadSource):
    """A layer's output from a store made by ``asrkd distill hidden``; AsrkdError if it cannot be opened."""

    def __init__(self, path: str) -> None:
        self.store = ArrayStore(Path(path), "hidden")
        self.dim = int(_entry(self.store, "dim"))
        self.frame_shift = float(_entry(self.store, "frame_shift"))

    def fetch(self, cuts: Sequence[MonoCut]) -> FrameTargets:
        """(N, T, D) values of each cut in float32, padded to the longest.

        Raises:
            AsrkdError: a cut has none, or they are damaged.
        """
        arrays = [self.store.read(cut.id).float() for cut in cuts]
        counts = torch.tensor([len(array) for array in arrays])
        return FrameTargets(pad_sequence(arrays, batch_first=True), counts, self.frame_shift)

    def verify(self, cuts: Sequence[MonoCut]) -> None:
        """Raise AsrkdError unless each cut has hidden states, made of its own audio."""
        self.store.verify(cuts)


class LiveHiddenSource:
    """A layer's output from a teacher that is asked while the student is trained.

    Raises:
        AsrkdError: it cannot be opened, no layer is named, or a quantizer is.
    """

    def __init__(self, live: LiveTargets) -> None:
        if live.layer is None:
            raise AsrkdError(f"targets of {live.teacher}: expected the layer that is asked about: layer")
        if live.quantizer is not None:
            raise AsrkdError(f"targets of {live.teacher}: a quantizer is for the objective codebook alone")
        self.teacher = LiveTeacher(live, live.layer, live.tap)
        self.dim, self.frame_shift = self.teacher.dim, self.teacher.frame_shift

    def fetch(self, cuts: Sequence[MonoCut]) -> LiveRequest:
        """The question, which any process can put."""
        return self.teacher.fetch(cuts)

    def finish(self, fetched: LiveRequest) -> FrameTargets:
        """The teacher's answer, float32 (N, T, D), on the device of the question."""
        return self.teacher.ask(fetched, lambda embeddings: embeddings)

    def verify(self, cuts: Sequence[MonoCut]) -> None:
        """Raise AsrkdError unless the teacher can read each cut."""
        self.teacher.verify(cuts)


@dataclass(frozen=True)
class PosteriorTargets:
    """The likeliest tokens at the teacher's frames."""

    log_probs: Tensor  # (N, T, k + 1) in nats, the last of all other tokens together; padding is 0
    tokens: Tensor  # (N, T, k) int64, whose log-probabilities the others are
    num_frames: Tensor  # (N,)

    def to(self, device: torch.device) -> "PosteriorTargets":
        """The same on another device."""
        fields = (self.log_probs, self.tokens, self.num_frames)
        return PosteriorTargets(*(field.to(device) for field in fields))


class PosteriorSource(ReadSource):
    """Posteriors from a store made by ``asrkd distill posterior``, for a student of the same tokens.

    Raises:
        AsrkdError: it cannot be opened, or is over other tokens.
    """

    def __init__(self, path: str, tokens: Tokens) -> None:
        self.store = ArrayStore(Path(path), "posterior")
        self.frame_shift = float(_entry(self.store, "frame_shift"))
        theirs, ours = _entry(self.store, "teacher")["tokens"], tokens.identity()
        if theirs != ours:
            raise AsrkdError(
                f"{path}: its posteriors are over other tokens than the student's ({str(theirs)[:12]}, the "
                f"student has {ours[:12]}); give both the same: asrkd prepare ... --token-source FOLDER"
            )

    def fetch(self, cuts: Sequence[MonoCut]) -> PosteriorTargets:
        """The stored posteriors of each cut, (N, T, k + 1) with tokens (N, T, k), padded to the longest.

        Raises:
            AsrkdError: a cut has none, or they are damaged.
        """
        values, tokens = zip(*(self.store.read_named(cut.id, VALUES, "tokens") for cut in cuts), strict=True)
        return PosteriorTargets(
            pad_sequence([own.float() for own in values], batch_first=True),
            pad_sequence([own.long() for own in tokens], batch_first=True),
            torch.tensor([len(own) for own in values]),
        )

    def verify(self, cuts: Sequence[MonoCut]) -> None:
        """Raise AsrkdError unless each cut has posteriors, made of its own audio."""
        self.store.verify(cuts)


def _entry(store: ArrayStore, name: str) -> Any:
    """A field of the contract; AsrkdError if it lacks it."""
    if name not in store.contract:
        raise AsrkdError(f"{store.path}/contract.json: lacks {name!r}; make the store with: {store.remake}")
    return store.contract[name]
