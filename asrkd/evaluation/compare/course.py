"""Course of each system's training: whether it had settled at the end, or stayed on CTC's plateau."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import mean

from asrkd.evaluation.compare.settling import ScheduleEnd, Trend, fit_trend, last_third, schedule_end
from asrkd.evaluation.compare.training_record import TrainingRecord
from asrkd.scoring.units import DEFINITIONS, WORD, find_unit
from asrkd.training.metrics import curve
from asrkd.training.plateau import Curve, Plateau, PlateauRule, ctc_loss, find_plateau

# Lowest dev WER of a plateau: with few or very unequal tokens, half of the unigram loss may be a good model.
LEAST_WER = 0.5
DEV_RULE = PlateauRule(min_points=3)  # validations are rare, and of averaged weights


@dataclass(frozen=True)
class SeedPlateau:
    """A plateau that a training from one seed ended on."""

    seed: int
    plateau: Plateau


@dataclass(frozen=True)
class Course:
    """Course of a system's training over its seeds."""

    num_seeds: int
    rate: str  # name of the error rate on dev: WER
    num_validations: int  # in the last third of the last phase, that all seeds have; 0: none, or no log
    wer: Trend | None  # of the mean over seeds; None: too few validations
    loss: Trend | None
    schedule: ScheduleEnd | None  # of the seed whose learning rate ended highest; None: not logged
    plateaus: list[SeedPlateau]  # of the seeds that ended on one
    unlogged: list[int] = field(default_factory=list)  # seeds whose logs have no validation

    @property
    def is_falling(self) -> bool:
        """Whether the WER or the loss on dev still falls in the last third."""
        return any(trend is not None and trend.is_falling for trend in (self.wer, self.loss))

    @property
    def is_cut_short(self) -> bool:
        """Whether the learning rate was far from its end at the last update."""
        return self.schedule is not None and self.schedule.kind in ("unfinished", "warm-up")

    @property
    def has_reservations(self) -> bool:
        """Whether the system may not be what its recipe can give."""
        return self.is_falling or self.is_cut_short or bool(self.plateaus)


def course_of(records: Sequence[TrainingRecord]) -> Course:
    """Judge the course of a system's trainings, one for each seed."""
    schedules = [schedule for record in records if (schedule := _schedule(record)) is not None]
    wer, loss = (_points(records, name) for name in ("wer", "loss"))
    return Course(
        num_seeds=len(records),
        rate=_rate(records),
        num_validations=max(len(wer), len(loss)),  # a loss may be infinite where there are errors to count
        wer=fit_trend(wer, records[0].averaging),
        loss=fit_trend(loss, records[0].averaging),
        schedule=max(schedules, key=lambda schedule: schedule.share, default=None),
        plateaus=[
            SeedPlateau(record.seed, plateau)
            for record in records
            if (plateau := plateau_of(record)) is not None
        ],
        unlogged=[record.seed for record in records if not _is_validated(record)],
    )


def _is_validated(record: TrainingRecord) -> bool:
    return any(curve(record.log, "validation", name) for name in ("wer", "loss"))


def plateau_of(record: TrainingRecord) -> Plateau | None:
    """Return the plateau that a training ended on.

    At the last update the CTC loss in training (that on dev, for a training without one) must be on it; no
    loss on dev of the last phase may be below its level, and the last WER on dev not below :data:`LEAST_WER`.
    A model that has learned its training data by heart, and is bad on dev, is on none. As in the watch of
    ``asrkd train``, phases with CTC that follow one another are one curve.
    """
    with_ctc = [any("ctc" in entry for entry in phase) for phase in record.objectives]
    if not any(with_ctc[-1:]):
        return None
    first = len(with_ctc) - (with_ctc[::-1] + [False]).index(False)
    begin, total, unigram = record.last_phase_step, record.num_updates, _unigram(record)
    dev = _after(begin, curve(record.log, "validation", "loss"))
    wer = _after(begin, curve(record.log, "validation", "wer"))
    if any(loss < DEV_RULE.level * unigram for _, loss in dev) or (wer and wer[-1][1] < LEAST_WER):
        return None
    training = _after(record.begin_of(first) + record.warmup_steps, _training_losses(record))
    return find_plateau(training, total, unigram) if training else find_plateau(dev, total, unigram, DEV_RULE)


def _rate(records: Sequence[TrainingRecord]) -> str:
    """Return the name of the error rate of the last validation."""
    rows = [row for record in records for row in record.log if row["kind"] == "validation"]
    unit = rows[-1].get("unit") if rows else None
    return find_unit(unit).rate if isinstance(unit, str) and unit in DEFINITIONS else WORD.rate


def _after(step: int, points: Curve) -> list[tuple[int, float]]:
    return [point for point in points if point[0] > step]


def _unigram(record: TrainingRecord) -> float:
    """Return the logged unigram loss; for logs without it, that of equally frequent tokens."""
    logged = curve(record.log, "data", "unigram")
    if logged:
        return logged[-1][1]
    num_tokens = record.architecture.get("num_tokens")  # with the blank
    return math.log(num_tokens - 1) if isinstance(num_tokens, int) and num_tokens > 1 else 0.0


def _training_losses(record: TrainingRecord) -> list[tuple[int, float]]:
    """List the CTC loss of the logged updates."""
    names = {name for row in record.log if row["kind"] == "train" for name in row}
    by_step: dict[int, dict[str, float]] = {}
    for name in names:
        for step, loss in curve(record.log, "train", name):
            by_step.setdefault(step, {})[name] = loss
    losses = [(step, ctc_loss(by_step[step], "loss_")) for step in sorted(by_step)]
    return [(step, loss) for step, loss in losses if loss is not None]


def _points(records: Sequence[TrainingRecord], name: str) -> list[tuple[int, float]]:
    """Average the validations in the last third over the seeds with a log, at the steps that all have."""
    curves = [dict(points) for record in records if (points := curve(record.log, "validation", name))]
    if not curves:
        return []
    shared = sorted(set(curves[0]).intersection(*curves[1:]))
    means = [(step, mean(points[step] for points in curves)) for step in shared]
    begin, end = (
        max(getattr(record, key) for record in records) for key in ("last_phase_step", "num_updates")
    )
    return last_third(means, begin, end)


def _schedule(record: TrainingRecord) -> ScheduleEnd | None:
    rates = curve(record.log, "train", "lr")
    if not rates:
        return None
    in_warmup = record.num_updates - record.schedule_step <= record.warmup_steps
    return schedule_end(record.optim, rates[-1][1], in_warmup=in_warmup)
