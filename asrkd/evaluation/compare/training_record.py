"""Record of a training in its model folder: config, lineage, stamp and log, as far as they are there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from asrkd.core import files
from asrkd.core.artifacts import LINEAGE, METRICS, MODEL_CONFIG, STAMP
from asrkd.evaluation.compare.systems import ScoredRun
from asrkd.training.metrics import read_metrics
from asrkd.training.plateau import default_warmup

MOST_UPDATES = 2**53  # beyond it, integers are not exact as floats


@dataclass(frozen=True)
class TrainingRecord:
    """Record of a training; empty for transcripts that were scored without a model."""

    seed: int
    experiment: dict[str, Any]  # resolved config
    architecture: dict[str, Any]
    lineage: dict[str, Any]
    stamp: dict[str, Any]
    log: list[dict[str, Any]]
    params: int | None

    @property
    def has_settings(self) -> bool:
        """Whether there is a config to compare."""
        return isinstance(self.experiment.get("optim"), dict)

    @property
    def optim(self) -> dict[str, Any]:
        """Settings of the optimizer and of the last schedule."""
        return self.optim_of(self.last_schedule)

    def optim_of(self, phase: int) -> dict[str, Any]:
        """Return the settings of the optimizer of a phase that begins a schedule, numbered from 0."""
        of_phase = self.phases[phase].get("optim") if phase < len(self.phases) else None
        optim = self.experiment.get("optim") if of_phase is None else of_phase
        return optim if isinstance(optim, dict) else {}

    @property
    def phases(self) -> list[dict[str, Any]]:
        """Phases of the config."""
        return _dicts(self.experiment.get("phases"))

    @property
    def objectives(self) -> list[list[dict[str, Any]]]:
        """Objectives of each phase, by their names: ``{"ctc": {...}, "codebook": None}``."""
        return [_dicts(phase.get("objectives")) for phase in self.phases]

    @property
    def num_updates(self) -> int:
        """Updates of the run, or of its log without a stamp; 0: unknown."""
        steps = self.stamp.get("steps")
        return steps if _is_count(steps) else max((record["step"] for record in self.log), default=0)

    def begin_of(self, phase: int) -> int:
        """Return the update after which a phase began; 0 if lengths in epochs leave it unknown."""
        steps = [each.get("steps") for each in self.phases]
        before = [number for number in steps[:phase] if isinstance(number, int)]
        after = [number for number in steps[phase:] if isinstance(number, int)]
        if phase > 0 and len(after) == len(steps) - phase:
            return max(0, self.num_updates - sum(after))
        return sum(before) if len(before) == phase else 0

    @property
    def last_phase_step(self) -> int:
        """Update after which the last phase began; 0 if lengths in epochs leave it unknown."""
        return self.begin_of(max(0, len(self.phases) - 1))

    @property
    def last_schedule(self) -> int:
        """Phase that began the last schedule, numbered from 0; it extends over phases without a restart."""
        first = max(0, len(self.phases) - 1)
        while first > 0 and not self.phases[first].get("restart", True):
            first -= 1
        return first

    @property
    def schedule_step(self) -> int:
        """Update after which the last schedule began."""
        return self.begin_of(self.last_schedule)

    @property
    def warmup_steps(self) -> int:
        """Updates of the last schedule's warm-up; the default's, where the config leaves them to it."""
        steps = self.optim.get("warmup_steps", 0)
        if isinstance(steps, int):
            return steps
        return default_warmup(self.num_updates - self.schedule_step) if steps is None else 0

    @property
    def averaging(self) -> tuple[int, int]:
        """Updates between two snapshots, and the number that a validation averages; (1, 1): unknown."""
        section = self.experiment.get("averaging")
        settings = section if isinstance(section, dict) else {}
        every_steps, last = (settings.get(key) for key in ("every_steps", "last"))
        return (every_steps, last) if _is_count(every_steps) and _is_count(last) else (1, 1)


def read_training(run: ScoredRun) -> TrainingRecord:
    """Read the record of a run's training; AsrkdError if a file of it is torn."""
    if run.model is None:
        return TrainingRecord(run.seed, {}, {}, {}, {}, [], run.params)
    config = _object(run.model / MODEL_CONFIG)
    return TrainingRecord(
        seed=run.seed,
        experiment=_section(config, "experiment"),
        architecture=_section(config, "architecture"),
        lineage=_object(run.model / LINEAGE),
        stamp=_object(run.model / STAMP),
        log=read_metrics(run.model / METRICS),
        params=run.params,
    )


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and 0 < value < MOST_UPDATES


def _dicts(items: Any) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _object(path: Path) -> dict[str, Any]:
    content = files.read_json(path) if path.is_file() else None
    return content if isinstance(content, dict) else {}


def _section(config: dict[str, Any], name: str) -> dict[str, Any]:
    section = config.get(name)
    return section if isinstance(section, dict) else {}
