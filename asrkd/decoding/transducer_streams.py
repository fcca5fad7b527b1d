"""Transducer searches of streams: greedy and beam, at most one token a frame.

At most one token a frame is what sherpa-onnx decodes, so that a model decodes
here as it does where it is deployed. The beam is its modified beam search: at
each frame the best sums of a hypothesis and a token, blank included, are kept,
and equal token sequences are merged by the sum of their probabilities.

Notation: N streams, T encoder frames, J size of the joiner, V tokens with blank
at 0, B hypotheses of all streams.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asrkd.data.tokens import BLANK_ID
from asrkd.models.transducer import Transducer


@dataclass(frozen=True)
class Emitted:
    """Tokens of a hypothesis and the frames that they were emitted at, counted from the first frame."""

    tokens: tuple[int, ...] = ()
    frames: tuple[int, ...] = ()

    def plus(self, token: int, frame: int) -> "Emitted":
        """Append a token."""
        return Emitted((*self.tokens, token), (*self.frames, frame))


class GreedyStreams:
    """Greedy search of N streams: the likeliest token or blank at each frame."""

    def __init__(self, transducer: Transducer, num: int, silent: Collection[int] = (BLANK_ID,)) -> None:
        """Begin N streams; ``silent`` tokens are not emitted."""
        self._transducer, self._silent = transducer, torch.tensor(sorted(silent))
        self._contexts = transducer.predictor.start(num)
        self._predicted = transducer.predictor.after(self._contexts)  # (N, J)
        self.emitted = [Emitted() for _ in range(num)]
        self._num_frames = [0] * num

    @torch.no_grad()
    def advance(self, frames: Tensor, num_frames: Tensor) -> None:
        """Decode the next (N, T, J) projected frames, of which (N,) are real."""
        begun = list(self._num_frames)
        for t in range(int(num_frames.max()) if len(num_frames) else 0):
            logits = self._transducer.join(frames[:, t], self._predicted)
            tokens = logits.argmax(dim=-1)
            emits = (t < num_frames) & ~torch.isin(tokens, self._silent.to(tokens.device))
            rows = emits.nonzero().flatten()
            if len(rows):
                appended = torch.cat([self._contexts[rows, 1:], tokens[rows, None]], dim=1)
                self._contexts[rows] = appended
                self._predicted[rows] = self._transducer.predictor.after(appended)
                for row, token in zip(rows.tolist(), tokens[rows].tolist(), strict=True):
                    self.emitted[row] = self.emitted[row].plus(token, begun[row] + t)
        self._num_frames = [before + count for before, count in zip(begun, num_frames.tolist(), strict=True)]


@dataclass
class _Beam:
    """Hypotheses of a stream with their log-probabilities, and how many frames are decoded."""

    hypotheses: list[tuple[Emitted, float]] = field(default_factory=lambda: [(Emitted(), 0.0)])
    num_frames: int = 0


class BeamStreams:
    """Modified beam search of N streams."""

    def __init__(
        self, transducer: Transducer, num: int, beam: int, silent: Collection[int] = (BLANK_ID,)
    ) -> None:
        """Begin N streams with at most ``beam`` hypotheses each; ``silent`` tokens are not emitted."""
        self._transducer, self._beam, self._silent = transducer, beam, frozenset(silent)
        self._streams = [_Beam() for _ in range(num)]

    @torch.no_grad()
    def advance(self, frames: Tensor, num_frames: Tensor) -> None:
        """Decode the next (N, T, J) projected frames, of which (N,) are real."""
        lengths = num_frames.tolist()
        for t in range(max(lengths, default=0)):
            active = [row for row, length in enumerate(lengths) if t < length]
            owner = [row for row in active for _ in self._streams[row].hypotheses]
            log_probs = self._log_probs(frames[:, t], owner).cpu().numpy()
            first = 0
            for row in active:
                stream = self._streams[row]
                last = first + len(stream.hypotheses)
                stream.hypotheses = self._extend(stream, log_probs[first:last])
                stream.num_frames += 1
                first = last

    def _log_probs(self, frames: Tensor, owner: Sequence[int]) -> Tensor:
        """Compute the log-probabilities (B, V) after all hypotheses at their streams' frames (N, J)."""
        predictor, rows = self._transducer.predictor, torch.tensor(owner, device=frames.device)
        start = predictor.start(1)[0].tolist()
        contexts = [
            (start + list(emitted.tokens[-predictor.context_size :]))[-predictor.context_size :]
            for row in dict.fromkeys(owner)
            for emitted, _ in self._streams[row].hypotheses
        ]
        predicted = predictor.after(torch.tensor(contexts, device=frames.device))
        return self._transducer.join(frames[rows], predicted).float().log_softmax(dim=-1)

    def _extend(self, stream: _Beam, log_probs: NDArray[np.float32]) -> list[tuple[Emitted, float]]:
        """Keep the best sums of a hypothesis and a token, (B, V), and merge equal sequences."""
        scores = log_probs + np.array([score for _, score in stream.hypotheses])[:, None]
        flat = scores.ravel()
        best = np.argsort(-flat, kind="stable")[: self._beam]
        merged: dict[tuple[int, ...], tuple[Emitted, float]] = {}
        for place in best.tolist():
            row, token = divmod(place, scores.shape[1])
            emitted = stream.hypotheses[row][0]
            if token not in self._silent:
                emitted = emitted.plus(token, stream.num_frames)
            score = float(flat[place])
            if emitted.tokens in merged:
                kept, other = merged[emitted.tokens]
                merged[emitted.tokens] = kept, float(np.logaddexp(score, other))
            else:
                merged[emitted.tokens] = emitted, score
        return list(merged.values())

    def hypotheses(self, row: int) -> list[tuple[Emitted, float]]:
        """Return the hypotheses of a stream and their log-probabilities in the search, best first a token.

        The order is sherpa-onnx's: by log-probability over the number of tokens and context tokens.
        """
        context_size = self._transducer.predictor.context_size
        return sorted(
            self._streams[row].hypotheses, key=lambda each: -each[1] / (len(each[0].tokens) + context_size)
        )
