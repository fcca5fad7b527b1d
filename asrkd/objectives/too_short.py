"""Counter of token sequences that are too long to be aligned with their audio.

CTC needs a frame for each token and a blank between two equal ones. A
sequence that needs more frames than the encoder has is of probability zero,
without gradient, and :mod:`asrkd.objectives.ctc` drops it. Transducers, which
decode a token a frame at most, need a frame for each token.
"""

from collections.abc import Callable, Sequence

from lhotse.utils import compute_num_frames

from asrkd.core.errors import AsrkdError
from asrkd.data.cuts.records import CutRecord

MAX_EXAMPLES = 3


def frames_needed(tokens: Sequence[int]) -> int:
    """Return the frames that CTC needs for ``tokens``: one each, and one between equal neighbors."""
    return len(tokens) + sum(one == other for one, other in zip(tokens, tokens[1:], strict=False))


def encoder_frames(cut: CutRecord, subsampling: int) -> int:
    """Return the number of encoder frames of a cut with features, of ``subsampling`` feature frames each."""
    assert cut.features is not None
    frames = compute_num_frames(cut.duration, cut.features.frame_shift, cut.sampling_rate)
    return -(-int(frames) // subsampling)


class TooShort:
    """Counts of the sequences that an objective drops, and of the cuts that lose all sequences."""

    def __init__(self, subsampling: int, needed: Callable[[Sequence[int]], int] = frames_needed) -> None:
        """Create zero counts.

        Args:
            subsampling: feature frames in a frame of the encoder.
            needed: frames that a sequence needs.
        """
        self._subsampling, self._needed = subsampling, needed
        self.num_sequences = self.num_dropped = 0
        self._fitting: set[str] = set()  # ids of cuts with a sequence that fits
        self._dropped: dict[str, tuple[float, str]] = {}  # seconds and example of cuts with a dropped one

    def add(self, cut: CutRecord, tokens: Sequence[int]) -> None:
        """Count a sequence of a cut."""
        self.num_sequences += 1
        frames, needed = encoder_frames(cut, self._subsampling), self._needed(tokens)
        if needed <= frames:
            self._fitting.add(cut.id)
            return
        self.num_dropped += 1
        example = f"{cut.id} ({cut.duration:g} s, {frames} encoder frames, {needed} needed)"
        self._dropped.setdefault(cut.id, (cut.duration, example))

    def lines(self, loss: str) -> list[str]:
        """Return a line on the sequences that ``loss`` drops; none if it drops none."""
        if not self.num_dropped:
            return []
        return [
            f"{loss}: {self.num_dropped} of {self.num_sequences} token sequences need more frames than their "
            f"audio has, and are dropped, all of {self._lost_cuts()}"
        ]

    def refuse_all(self, loss: str) -> None:
        """Raise AsrkdError if ``loss`` drops all sequences."""
        if self.num_dropped and not self._fitting:
            raise AsrkdError(
                f"{loss}: nothing is left to train on: all token sequences need more frames than their audio "
                f"has, those of {self._lost_cuts()}; train on longer cuts, or with fewer tokens: "
                "asrkd prepare ... --tokens bpe"
            )

    def _lost_cuts(self) -> str:
        """Describe the cuts that lose all sequences: number, hours, and examples."""
        lost = {cut_id: cut for cut_id, cut in self._dropped.items() if cut_id not in self._fitting}
        hours = sum(seconds for seconds, _ in lost.values()) / 3600
        examples = "; ".join(example for _, example in list((lost or self._dropped).values())[:MAX_EXAMPLES])
        return f"{len(lost)} cuts ({hours:.3f} h), e.g. {examples}"
