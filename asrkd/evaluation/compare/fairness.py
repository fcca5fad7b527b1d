"""Fairness of a comparison: settings besides objectives and stores, and the course of each training.

The teacher is meant to differ: its settings stand beside those of the others, and nothing counts against it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from asrkd.evaluation.compare.course import Course, course_of
from asrkd.evaluation.compare.settings import Setting, compare_settings, trained_systems
from asrkd.evaluation.compare.systems import TEACHER, System
from asrkd.evaluation.compare.training_record import read_training


@dataclass(frozen=True)
class Fairness:
    """Settings side by side, and the course of each training."""

    settings: list[Setting]
    courses: dict[str, Course]  # by system, of those whose configs are known
    unknown: list[str]  # systems without the config of a training, other than the teacher

    @property
    def unequal(self) -> list[Setting]:
        """Settings that make the comparison unequal."""
        return [setting for setting in self.settings if setting.differs and setting.is_condition]

    def has_reservations(self, system: str, baseline: str) -> bool:
        """Return whether there are reservations about the difference between a system and the baseline."""
        pair = (system, baseline)
        if any(self.courses[name].has_reservations for name in pair if name in self.courses):
            return True
        values = [{text for name in pair for text in each.values.get(name, [])} for each in self.unequal]
        return any(len(texts) > 1 for texts in values)


def examine(systems: Sequence[System]) -> Fairness:
    """Examine the trainings of scored systems.

    Raises:
        AsrkdError: a config, lineage or stamp in a model folder is torn.
    """
    records = {system.name: [read_training(run) for run in system.runs] for system in systems}
    trained = trained_systems(systems, records)
    names = {system.name for system in trained}
    return Fairness(
        settings=compare_settings(trained),
        courses={system.name: course_of(system.records) for system in trained},
        unknown=[system.name for system in systems if system.role != TEACHER and system.name not in names],
    )
