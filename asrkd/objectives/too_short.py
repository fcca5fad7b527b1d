"""Token sequences that CTC cannot align with their audio, counted before the first step.

CTC needs a frame for each token and a blank between two equal ones; a sequence that needs more frames than
the encoder has of its audio has probability zero and no gradient, and :mod:`asrkd.objectives.ctc` drops it.
"""

from collections.abc import Sequence

from lhotse.utils import compute_num_frames

from asrkd.core.errors import AsrkdError
from asrkd.data.cuts.records import CutRecord
from asrkd.models.front_end import SUBSAMPLING

SHOWN = 3  # examples


def frames_needed(tokens: Sequence[int]) -> int:
    """The fewest frames that align ``tokens``: one each, and one between equal neighbors."""
    return len(tokens) + sum(one == other for one, other in zip(tokens, tokens[1:], strict=False))


def encoder_frames(cut: CutRecord) -> int:
    """Encoder frames that a student has of a cut with features."""
    assert cut.features is not None
    frames = compute_num_frames(cut.duration, cut.features.frame_shift, cut.sampling_rate)
    return -(-int(frames) // SUBSAMPLING)


class TooShort:
    """Which sequences an objective drops, and of which cuts it drops all."""

    def __init__(self) -> None:
        """Begin with none."""
        self.num_sequences = self.num_dropped = 0
        self._kept: set[str] = set()  # ids of cuts of which a sequence fits
        self._lost: dict[str, tuple[float, str]] = {}  # seconds and example of those of which one does not

    def add(self, cut: CutRecord, tokens: Sequence[int]) -> None:
        """Count a sequence of a cut."""
        self.num_sequences += 1
        frames, needed = encoder_frames(cut), frames_needed(tokens)
        if needed <= frames:
            self._kept.add(cut.id)
            return
        self.num_dropped += 1
        example = f"{cut.id} ({cut.duration:g} s, {frames} encoder frames, {needed} needed)"
        self._lost.setdefault(cut.id, (cut.duration, example))

    def lines(self, loss: str) -> list[str]:
        """A line about what ``loss`` drops; none where it drops nothing."""
        if not self.num_dropped:
            return []
        return [
            f"{loss}: {self.num_dropped} of {self.num_sequences} token sequences need more frames than their "
            f"audio has, and are dropped, all of {self._lost_cuts()}"
        ]

    def refuse_all(self, loss: str) -> None:
        """Raise AsrkdError if ``loss`` drops all there is."""
        if self.num_dropped and not self._kept:
            raise AsrkdError(
                f"{loss}: nothing is left to learn: all token sequences need more frames than their audio "
                f"has, those of {self._lost_cuts()}; train on longer cuts, or on fewer tokens, as of "
                "asrkd prepare ... --tokens bpe"
            )

    def _lost_cuts(self) -> str:
        """How many cuts lost all, their hours, and examples of what was dropped."""
        lost = {cut_id: found for cut_id, found in self._lost.items() if cut_id not in self._kept}
        hours = sum(seconds for seconds, _ in lost.values()) / 3600
        examples = "; ".join(example for _, example in list((lost or self._lost).values())[:SHOWN])
        return f"{len(lost)} cuts ({hours:.3f} h), e.g. {examples}"
