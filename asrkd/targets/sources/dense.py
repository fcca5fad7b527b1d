"""Hidden states and posteriors of a teacher as targets, from a store or computed while training.

Notation: N utterances, T teacher frames after padding, k tokens stored of each
frame, D size of the teacher's layer, V tokens.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lhotse import MonoCut
from torch.nn.utils.rnn import pad_sequence

from asrkd.core.errors import AsrkdError
from asrkd.data.tokens import Tokens
from asrkd.models.inference import check_ctc, encode_cuts
from asrkd.targets.frames import FrameTargets
from asrkd.targets.posteriors import ALL, PosteriorTargets, TopK, top_tokens
from asrkd.targets.sources.base import HiddenTargets, PosteriorSource, ReadSource
from asrkd.targets.sources.live import LiveLayer, LiveRequest, LiveSource, live_settings
from asrkd.targets.sources.settings import LiveTargets
from asrkd.targets.store.arrays import VALUES, ArrayStore
from asrkd.teachers.loading import check_teacher


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

    def verify(self, cuts: Sequence[MonoCut], student_shift: float | None = None) -> None:
        """Raise AsrkdError unless each cut has hidden states, computed of the same audio."""
        self.store.verify(cuts, student_shift)

    def live(self) -> "LiveHiddenSource":
        """Return a live source of the store's teacher; AsrkdError if it has changed."""
        return LiveHiddenSource(live_settings(self.store))


class LiveHiddenSource(LiveLayer):
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


def posterior_source(targets: LiveTargets | str, tokens: Tokens) -> PosteriorSource:
    """Open the source that a config names, for a student of the same tokens: a store, or a live teacher.

    Raises:
        AsrkdError: the source cannot be opened, holds other targets, or is over other tokens.
    """
    if isinstance(targets, str):
        return StoredPosteriors(targets, tokens)
    return LivePosteriorSource(targets, tokens)


class StoredPosteriors(ReadSource):
    """Posteriors from a store made by ``asrkd distill posterior``, for a student of the same tokens.

    Raises:
        AsrkdError: the store cannot be opened, or its posteriors are over other tokens.
    """

    is_live = False

    def __init__(self, path: str, tokens: Tokens) -> None:
        self.store = ArrayStore(Path(path), "posterior")
        self.frame_shift = float(_entry(self.store, "frame_shift"))
        self._top_k: TopK = _entry(self.store, "top_k")
        self.has_all_tokens = _has_all(self._top_k, tokens)
        self._tokens = tokens
        _check_tokens(path, _entry(self.store, "teacher")["tokens"], tokens)

    def fetch(self, cuts: Sequence[MonoCut]) -> PosteriorTargets:
        """Read the posteriors of each cut, (N, T, k + 1) with tokens (N, T, k), padded to the longest.

        Raises:
            AsrkdError: a cut has no targets, or its targets are damaged.
        """
        if self._top_k == ALL:
            return PosteriorTargets.of_all([self.store.read(cut.id) for cut in cuts])
        values, tokens = zip(*(self.store.read_named(cut.id, VALUES, "tokens") for cut in cuts), strict=True)
        return PosteriorTargets.of_some(values, tokens)

    def verify(self, cuts: Sequence[MonoCut], student_shift: float | None = None) -> None:
        """Raise AsrkdError unless each cut has posteriors, computed of the same audio."""
        self.store.verify(cuts, student_shift)

    def live(self) -> "LivePosteriorSource":
        """Return a live source of the store's teacher and number of tokens; AsrkdError if it has changed."""
        return LivePosteriorSource(live_settings(self.store), self._tokens, self._top_k)


class LivePosteriorSource(LiveSource):
    """Posteriors that a teacher computes while the student is trained, of all tokens or of the likeliest.

    Raises:
        AsrkdError: the teacher cannot be opened, has no CTC head or other tokens, or a setting has no effect.
    """

    def __init__(self, settings: LiveTargets, tokens: Tokens, top_k: TopK = ALL) -> None:
        idle = {"layer": settings.layer, "tap": settings.tap, "quantizer": settings.quantizer}
        for name, value in idle.items():
            if value is not None:
                raise AsrkdError(
                    f"targets of {settings.teacher}: {name} has no effect on posteriors; remove it"
                )
        check_teacher(settings.teacher, "posterior")
        super().__init__(settings)
        self._top_k = top_k
        self.has_all_tokens = _has_all(top_k, tokens)
        model = self.teacher("cpu").recognizer("posterior")
        check_ctc(model)
        _check_tokens(f"targets of {settings.teacher}", model.tokens.identity(), tokens)

    def finish(self, fetched: LiveRequest) -> PosteriorTargets:
        """Compute the posteriors on the device of the request, padded to the longest.

        Raises:
            AsrkdError: a cut cannot be read.
        """
        model = self.teacher(fetched.device).recognizer("posterior")
        log_probs = [of_cut.log_probs.to(fetched.device) for of_cut in encode_cuts(model, fetched.cuts)]
        if self._top_k == ALL:
            return PosteriorTargets.of_all(log_probs)
        values, tokens = zip(*(top_tokens(frames, self._top_k) for frames in log_probs), strict=True)
        return PosteriorTargets.of_some(values, tokens)


def _has_all(top_k: TopK, tokens: Tokens) -> bool:
    return top_k == ALL or top_k >= tokens.size


def _check_tokens(where: str, stored: str, tokens: Tokens) -> None:
    """Raise AsrkdError, which begins with ``where``, unless posteriors are over the student's tokens."""
    if stored != tokens.identity():
        raise AsrkdError(
            f"{where}: its posteriors are over other tokens ({str(stored)[:12]}) than the student's "
            f"({tokens.identity()[:12]}); use the same tokens for both: "
            "asrkd prepare ... --token-source FOLDER"
        )


def _entry(store: ArrayStore, name: str) -> Any:
    """Return a field of the contract; AsrkdError if it is missing."""
    if name not in store.contract:
        raise AsrkdError(f"{store.path}/contract.json: lacks {name!r}; make the store with: {store.remake}")
    return store.contract[name]
