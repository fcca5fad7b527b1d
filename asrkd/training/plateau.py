"""CTC's plateau: a loss near that of token frequencies alone, where a small model may stay to the end.

A CTC model learns first how frequent each token is (its loss per token is then the entropy of the token
frequencies, the *unigram loss*), then where tokens are, and only then which token is where. Models that never
take the last step either give blanks alone, or about the right number of words, nearly all of them wrong.

The default rule was chosen on eleven trainings of Conformers of 54 k parameters on spoken digits, as
characters (unigram loss 2.5 and 2.8 nats). Five of them stalled, at a WER of 93 to 117 %: their loss was 0.58
to 0.87 times the unigram loss in training, and as much on dev. Of the others, at 18 to 47 %, it was 0.29 or
less in training.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Curve = Sequence[tuple[int, float]]  # (step, loss), steps rising

# A model that is still on the plateau when the learning rate peaks may never leave it.
WARMUP_SHARE, MOST_WARMUP_STEPS = 0.25, 10_000

REMEDIES = (
    "if it stays, try another optim.lr (for small models 0.006 to 0.03), a longer optim.warmup_steps, and "
    "fewer and shorter masks in augment.specaugment"
)


@dataclass(frozen=True)
class PlateauRule:
    """Conditions of a plateau; the defaults fit losses of batches, which are noisy."""

    level: float = 0.5  # lowest loss, as a share of the unigram loss
    stretch: float = 0.2  # share of the run over which the loss must have stayed
    most_fall: float = 0.1  # largest fall over the stretch, as a share of the loss
    min_points: int = 5  # losses in the stretch, which is longer where a run logs fewer


@dataclass(frozen=True)
class Plateau:
    """A loss that stays at the level of the unigram loss; both in nats per token."""

    loss: float  # mean over the stretch
    unigram: float
    num_updates: int  # updates of the stretch

    def text(self) -> str:
        """Describe the plateau, without a subject."""
        return (
            f"CTC loss of {self.loss:.2f} nats per token for {self.num_updates:,} updates, "
            f"token frequencies alone give {self.unigram:.2f}"
        )


def default_warmup(total_steps: int) -> int:
    """Return the updates of the warm-up in a schedule of ``total_steps`` updates, where a config has none."""
    return min(round(WARMUP_SHARE * total_steps), MOST_WARMUP_STEPS)


def unigram_loss(counts: Mapping[int, int]) -> float:
    """Compute the entropy of token frequencies, in nats per token, given counts by id; 0 without tokens."""
    total = sum(counts.values())
    return sum(count / total * math.log(total / count) for count in counts.values())


def is_ctc_loss(label: str) -> bool:
    """Return whether a label is of a CTC loss: ``ctc``, ``ctc-nbest``, ``ctc#2``."""
    return label.partition("-")[0].partition("#")[0] == "ctc"


def ctc_loss(losses: Mapping[str, float], prefix: str = "") -> float | None:
    """Return the lowest CTC loss among the losses by label, in nats per token; None if there is none.

    Args:
        losses: losses by the labels of their terms: ``ctc``, ``ctc-nbest``, ``codebook``.
        prefix: text before each label, such as ``loss_`` in logs.
    """
    of_ctc = [
        loss
        for label, loss in losses.items()
        if label.startswith(prefix) and is_ctc_loss(label.removeprefix(prefix))
    ]
    return min(of_ctc, default=None)


def find_plateau(
    curve: Curve, total_steps: int, unigram: float, rule: PlateauRule = PlateauRule()
) -> Plateau | None:
    """Return the plateau that a run is on at the last step of a curve; None if it is on none.

    The stretch ends at the last step, so that a growing curve can be checked at each step. It begins at the
    last loss that is at least ``rule.stretch`` of the run old, or earlier where a short run has few losses; a
    shorter curve has no plateau.

    Args:
        curve: CTC losses in nats per token by step, without those of the warm-up.
        total_steps: updates of the whole run.
        unigram: the unigram loss.
        rule: the conditions.
    """
    if not curve or unigram <= 0:
        return None
    begin = curve[-1][0] - rule.stretch * total_steps
    first = min(bisect_right(curve, (begin, math.inf)) - 1, len(curve) - rule.min_points)
    if first < 0:
        return None
    steps, losses = np.array(curve[first:], np.float64).T  # (N,) each
    loss = float(losses.mean())
    fall = -float(np.polyfit(steps - steps.mean(), losses, 1)[0]) * (steps[-1] - steps[0])
    if loss < rule.level * unigram or fall > rule.most_fall * loss:
        return None
    return Plateau(loss, unigram, int(steps[-1] - steps[0]))


class PlateauWatch:
    """Watch over the CTC loss of a run while it trains, which reports a plateau once."""

    def __init__(self, total_steps: int, unigram: float, warmup_steps: int) -> None:
        self.total_steps, self.unigram, self.warmup_steps = total_steps, unigram, warmup_steps
        self.has_reported = False
        self._begin = 0  # last update without a CTC loss
        self._curve: list[tuple[int, float]] = []

    def observe(self, step: int, losses: Mapping[str, float]) -> Plateau | None:
        """Add the losses of an update by label, and return a plateau that was not reported yet.

        A phase without a CTC loss starts the watch anew, and the warm-up after it counts as such.
        """
        self._add(step, losses)
        if self.has_reported:
            return None
        plateau = find_plateau(self._curve, self.total_steps, self.unigram)
        self.has_reported = plateau is not None
        return plateau

    def replay(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Observe the records of a log, as a run did that is now resumed; none of its plateaus is new."""
        for record in records:
            if record["kind"] == "train":
                losses = {name.removeprefix("loss_"): loss for name, loss in record.items()}
                self._add(record["step"], losses)
        self.has_reported = any(record["kind"] == "plateau" for record in records)

    def _add(self, step: int, losses: Mapping[str, float]) -> None:
        loss = ctc_loss(losses)
        if loss is None:
            self._curve.clear()
            self._begin = step
        elif step > self._begin + self.warmup_steps and math.isfinite(loss):
            self._curve.append((step, loss))
