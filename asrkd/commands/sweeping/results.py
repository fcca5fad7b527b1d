"""Results of a sweep: a row for each setting, best first, the chosen one, and notes on its range."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from asrkd.commands.sweeping.axes import Axis, number_of
from asrkd.commands.sweeping.grid import Run, Setting
from asrkd.commands.sweeping.measures import PERPLEXITY, Quality, quality
from asrkd.commands.sweeping.progress import Progress
from asrkd.commands.sweeping.rounds import Standing
from asrkd.scoring.units import WORD, Unit, find_unit

State = Literal["complete", "dropped", "unfinished", "failed", "diverged"]
_ORDER: tuple[State, ...] = ("complete", "unfinished", "dropped", "failed", "diverged")
LAST_VALIDATIONS = 5  # of a run's curve that are recorded


@dataclass(frozen=True)
class Row:
    """A setting with its runs and their quality."""

    setting: Setting
    state: State
    quality: Quality
    runs: tuple[tuple[Run, Progress], ...]
    dropped_after: int | None  # number of the round, from 0
    reasons: tuple[str, ...]  # why runs failed or diverged

    @property
    def step(self) -> int:
        """Updates of the run that is least far."""
        return min(progress.step for _, progress in self.runs)

    @property
    def params(self) -> int | None:
        """Parameters of the model, of a complete run."""
        return next((progress.params for _, progress in self.runs if progress.params is not None), None)


@dataclass(frozen=True)
class Results:
    """Rows, best first; the chosen setting, if all runs have ended."""

    axes: tuple[Axis, ...]
    rows: tuple[Row, ...]
    chosen: Row | None
    notes: tuple[str, ...]

    @property
    def measure(self) -> str:
        """What is minimized."""
        return next((row.quality.measure for row in self.rows if row.quality.value is not None), "wer")

    @property
    def unit(self) -> Unit:
        """Unit of errors."""
        records = [progress.last for row in self.rows for _, progress in row.runs]
        return find_unit(next((record["unit"] for record in records if "unit" in record), WORD.name))


def results(standing: Standing, failures: Mapping[Path, str]) -> Results:
    """Rank the settings, and choose the best if the sweep is over.

    Args:
        standing: progress of the runs.
        failures: why runs have failed, by folder.
    """
    rows = [_row(standing, setting, failures) for setting in standing.grid.settings]
    ranked = sorted(
        rows, key=lambda row: (_ORDER.index(row.state), -(row.dropped_after or 0), row.quality.order)
    )
    best = ranked[0]
    chosen = best if standing.is_over and best.state == "complete" else None
    axes = standing.grid.axes
    return Results(axes, tuple(ranked), chosen, tuple(_edge_notes(axes, chosen)))


def _row(standing: Standing, setting: Setting, failures: Mapping[Path, str]) -> Row:
    runs = tuple((run, standing.progress[run.folder]) for run in standing.grid.runs_of(setting))
    dropped, state = standing.dropped_in(setting), _state([progress for _, progress in runs])
    reasons = [progress.reason for _, progress in runs if progress.reason]
    if dropped is not None:
        state = "dropped"
    elif state == "unfinished" and any(run.folder in failures for run, _ in runs):
        state = "failed"
        reasons = [failures[run.folder] for run, _ in runs if run.folder in failures]
    return Row(
        setting, state, quality([progress.last for _, progress in runs]), runs, dropped, tuple(reasons)
    )


def _state(runs: Sequence[Progress]) -> State:
    states = {progress.state for progress in runs}
    if "diverged" in states:
        return "diverged"
    return "complete" if states == {"complete"} else "unfinished"


def _edge_notes(axes: Sequence[Axis], chosen: Row | None) -> list[str]:
    """Note the keys whose chosen value is the lowest or highest of its range."""
    notes = []
    for axis in axes if chosen else ():
        numbers = [number_of(value.value) for value in axis.values]
        value = number_of(chosen.setting.values[axis.key].value) if chosen else None
        if value is None or None in numbers:
            continue
        for edge, name in ((min, "lowest"), (max, "highest")):
            off = edge is min and value == 0  # no key of a config has values below
            if value == edge(numbers) and not off:  # type: ignore[type-var]
                notes.append(
                    f"{axis.key}: the chosen {value:g} is the {name} of its range; "
                    f"try {'lower' if edge is min else 'higher'} values too"
                )
    return notes


def as_json(ranked: Results) -> dict[str, Any]:
    """Return the results as JSON: settings best first, with their runs and the last validations of each."""
    return {
        "measure": ranked.measure,
        "unit": ranked.unit.name,
        "chosen": ranked.chosen.setting.name if ranked.chosen else None,
        "notes": list(ranked.notes),
        "settings": [_row_as_json(row) for row in ranked.rows],
    }


def _row_as_json(row: Row) -> dict[str, Any]:
    return {
        "name": row.setting.name,
        "values": {key: value.value for key, value in row.setting.values.items()},
        "state": row.state,
        "dropped_after_round": None if row.dropped_after is None else row.dropped_after + 1,
        "reasons": list(row.reasons),
        "quality": asdict(row.quality),
        "params": row.params,
        "runs": [_run_as_json(run, progress) for run, progress in row.runs],
    }


def _run_as_json(run: Run, progress: Progress) -> dict[str, Any]:
    steps = sorted(progress.validations)[-LAST_VALIDATIONS:]
    return {
        "folder": str(run.folder),
        "seed": None if run.seed is None else run.seed.value,
        "state": progress.state,
        "step": progress.step,
        "validations": [progress.validations[step] for step in steps],
        "params": progress.params,
        "train_seconds": progress.train_seconds,
    }


def quality_text(ranked: Results) -> str:
    """Describe the quality of the chosen setting: rate or perplexity, spread over seeds, loss."""
    assert ranked.chosen is not None
    quality = ranked.chosen.quality
    if ranked.measure == PERPLEXITY:
        text = f"dev perplexity {quality.value:.4g}"
    else:
        text = f"dev {ranked.unit.rate} {quality.value:.2%}"
        if quality.std is not None:
            text += f" (standard deviation {quality.std:.2%} over {len(ranked.chosen.runs)} seeds)"
    return text if quality.loss is None else f"{text}, loss {quality.loss:.3f}"
