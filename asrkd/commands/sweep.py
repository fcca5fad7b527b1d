"""Command ``sweep``: train a config with several values of its keys, and choose the best on the dev set.

Reads:   a config and all that ``asrkd train`` reads for it.
Writes:  a model folder for each run, a table of them (text, JSON, SVG), and the config of the best.

A grid or a random sample with halving is a few hundred lines and is resumed from the folders of the runs
alone; a library such as Optuna would keep a second record of the same state.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from asrkd import __version__
from asrkd.commands.sweeping.child import Task, Train
from asrkd.commands.sweeping.figure import draw
from asrkd.commands.sweeping.grid import SEED, Grid, Run, read_grid
from asrkd.commands.sweeping.halving import parse_rungs
from asrkd.commands.sweeping.progress import read_progress
from asrkd.commands.sweeping.results import Results, Row, as_json, quality_text, results
from asrkd.commands.sweeping.rounds import Lengths, Standing
from asrkd.commands.sweeping.side_by_side import run_side_by_side
from asrkd.commands.sweeping.table import render
from asrkd.core import config, files, output_folder
from asrkd.core.artifacts import BEST_CONFIG, STAMP, SWEEP, SWEEP_SETTINGS
from asrkd.core.command_record import current_command, write_command
from asrkd.core.errors import AsrkdError, counted, one_line, warn
from asrkd.core.output_folder import State
from asrkd.core.parallel import check_jobs
from asrkd.core.progress import meter
from asrkd.core.shared_work import FEWER_JOBS, Workers
from asrkd.core.shell import command
from asrkd.core.stopping import StopRequest
from asrkd.training.config import TrainConfig

TABLE, FIGURE = "sweep.txt", "sweep.svg"
CHECKPOINT_EVERY_S = 60.0  # of each run


@dataclass(frozen=True)
class Training:
    """``asrkd train``, handed over: its functions, and its options for every run."""

    train: Train
    count_steps: Callable[[Path, Sequence[str]], int]  # of a config with overrides
    options: Any  # a dataclass with ``resume`` and ``until_step``


@dataclass(frozen=True)
class SweepRequest:
    """Request of a sweep: config, varied keys, and how much of the grid to train."""

    config: Path
    overrides: tuple[str, ...]  # KEY=VALUE of --set
    vary: tuple[str, ...]  # KEY=VALUE,VALUE of --vary
    out: Path
    samples: int | None = None  # None: the whole grid
    seed: int = 1  # of the sample
    halve: bool = False  # at 1/4 and 1/2 of the updates
    halve_at: str | None = None  # or at these shares, with commas between them
    workers: Workers = Workers()
    trains: bool = True  # whether to train here what jobs have left

    @property
    def rungs(self) -> tuple[float, ...]:
        """Shares of the updates at which settings are halved; AsrkdError if there are no such shares."""
        return parse_rungs(self.halve, self.halve_at)

    def grid(self) -> Grid:
        """Parse and validate the grid; AsrkdError if it, or another option, is not possible."""
        check_jobs(self.workers.jobs)
        parse_rungs(self.halve, self.halve_at)
        if (world_size := os.environ.get("WORLD_SIZE") or "1") != "1":
            raise AsrkdError(
                f"WORLD_SIZE={world_size}: each run of a sweep is one process; run it without torchrun"
            )
        return read_grid(TrainConfig, self.config, self.overrides, self.vary, self.samples, self.seed)

    def record(self, grid: Grid) -> dict[str, Any]:
        """Return the request as JSON, without what does not change the results."""
        axes = {axis.key: [value.value for value in axis.values] for axis in grid.axes}
        return {
            "config": str(self.config),
            "set": list(self.overrides),
            "vary": axes | ({SEED: [value.value for value in grid.seeds]} if grid.seeds else {}),
            "samples": self.samples,
            "seed": None if self.samples is None else self.seed,
            "halve_at": list(self.rungs),
        }


@dataclass(frozen=True)
class SweepReport:
    """Report of a sweep: its results, or what other shards have to train."""

    out: Path
    results: Results
    missing: int = 0  # runs that other shards still have to train
    already_complete: bool = False

    def text(self, *, styled: bool = False) -> str:
        """Format the table and a line below it."""
        if self.missing:
            runs = counted(self.missing, "run")
            return f"{self.out}: {runs} left; finish with the other --shard runs, or without --shard"
        done = " (already complete)" if self.already_complete else ""
        line = f"{self.out}: {counted(len(self.results.rows), 'setting')}{done}; the chosen config: "
        return f"{render(self.results, styled=styled)}\n\n{line}{command(self.out / BEST_CONFIG)}"


def check(request: SweepRequest, check_run: Callable[[Path, Path, Sequence[str]], None]) -> None:
    """Check a request of :func:`sweep` before jobs are submitted.

    Args:
        request: config, varied keys, and how much of the grid to train.
        check_run: function that checks a config, model folder and overrides; called for the first run.

    Raises:
        AsrkdError: a mistake was found.
    """
    grid = request.grid()
    output_folder.check_settings(request.out, SWEEP_SETTINGS, grid.record())
    check_run(grid.config, request.out / grid.runs[0].folder, grid.overrides_of(grid.runs[0]))
    if (idle := request.workers.jobs - len(grid.runs)) > 0:
        jobs = f"{counted(len(grid.runs), 'run')} for {request.workers.jobs} jobs"
        warn(f"warning: {jobs}; {idle} will idle: use {FEWER_JOBS}")


class Rounds:
    """Rounds of a sweep that is trained by jobs: a rung is decided when all of them have ended."""

    def __init__(self, request: SweepRequest, training: Training) -> None:
        """Start before the first round."""
        self._request, self._training, self._last = request, training, 0

    def has_next(self) -> bool:
        """Return whether jobs have something to do in a round that follows the last one."""
        if not self._request.rungs:
            return False
        grid = self._request.grid()
        lengths = _lengths(self._request, grid, self._training)
        standing = Standing(self._request.out, grid, self._request.rungs, lengths)
        is_next = standing.present.number > self._last and not standing.is_over
        self._last = standing.present.number
        return is_next


def sweep(request: SweepRequest, training: Training, stop: StopRequest) -> SweepReport:
    """Train the runs of a grid and choose the best setting, or resume a sweep.

    The folder may grow: values, samples and seeds may be added, as every run is kept under its name.

    Args:
        request: config, varied keys, and how much of the grid to train.
        training: the functions and options of ``asrkd train``.
        stop: request to stop.

    Raises:
        AsrkdError: an option, the config or an input does not fit; a run failed or was killed; or every
            run diverged. Finished runs and checkpoints stay.
        StoppedInTime: a stop was requested; run again to resume.
    """
    grid = request.grid()
    state = output_folder.claim(request.out, SWEEP_SETTINGS, grid.record())
    write_command(request.out)
    work = _Sweep(request, grid, training, _lengths(request, grid, training))
    standing, failures = work.standing(), dict[Path, str]()
    is_new = not standing.is_over or state is not State.COMPLETE
    while not standing.is_over and not failures:
        share = work.share(standing)
        if not share or not request.trains:
            break
        (request.out / STAMP).unlink(missing_ok=True)
        failures = work.train(standing, share, stop)
        standing = work.standing()
        work.write(results(standing, failures))
        stop.check(f"{request.out}: checkpoints are kept")
    ranked = results(standing, failures)
    if not standing.is_over:
        return _unfinished(request, standing, ranked, failures)
    return _finish(request, grid, work, ranked, is_new)


def _lengths(request: SweepRequest, grid: Grid, training: Training) -> dict[Path, Lengths]:
    """Count the updates of each run, where settings are halved."""
    lengths = {}
    for run in grid.runs if request.rungs else ():
        overrides = grid.overrides_of(run)
        experiment = config.load(TrainConfig, grid.config, overrides)
        total = training.count_steps(grid.config, overrides)
        lengths[run.folder] = Lengths(total, experiment.validation.every_steps)
    return lengths


@dataclass(frozen=True)
class _Sweep:
    """A sweep with all that its rounds need."""

    request: SweepRequest
    grid: Grid
    training: Training
    lengths: dict[Path, Lengths]

    def standing(self) -> Standing:
        """Read the progress of all runs."""
        return Standing(self.request.out, self.grid, self.request.rungs, self.lengths)

    def share(self, standing: Standing) -> list[Run]:
        """Return the runs of the present round that are left to this process."""
        shard, left = self.request.workers.shard_of, standing.left(standing.present)
        runs = [run for setting in standing.present.settings for run in self.grid.runs_of(setting)]
        return [run for index, run in enumerate(runs) if run in left and (not shard or shard.takes(index))]

    def train(self, standing: Standing, runs: Sequence[Run], stop: StopRequest) -> dict[Path, str]:
        """Train runs as far as the present round goes; return why some failed, by folder.

        Raises:
            AsrkdError: an input of a run does not fit.
        """
        failures: dict[Path, str] = {}
        tasks = {self._task(run, standing.present.until[run.folder]): run for run in runs}
        label = f"sweep {self.request.out.name}"
        if self.request.rungs:
            label += f", round {standing.present.number + 1} of {len(self.request.rungs) + 1}"
        exits = run_side_by_side(list(tasks), self.request.workers.jobs, stop)
        with meter(label, len(tasks), "runs", heartbeat=True) as progress, closing(exits):
            for task, ended in exits:
                if ended.kind == "error":
                    raise AsrkdError(f"run {task.name}: {ended.message}")
                if ended.kind == "failed":
                    failures[tasks[task].folder] = ended.message
                    warn(f"run {task.name}: {ended.message}; its log: {task.log}")
                if ended.kind != "stopped" or not stop.reason():
                    progress.advance(1, note=f"{task.name}{_last_quality(task.out)}")
        return failures

    def _task(self, run: Run, until_step: int | None) -> Task:
        options = replace(self.training.options, resume=True, until_step=until_step)
        out, log = self.request.out / run.folder, self.request.out / "logs" / f"{run.name}.log"
        overrides = tuple(self.grid.overrides_of(run))
        return Task(run.name, self.training.train, self.grid.config, out, overrides, options, log)

    def write(self, ranked: Results) -> None:
        """Write the table, for people and for programs."""
        files.write_lines(self.request.out / TABLE, render(ranked, styled=False).splitlines())
        record = {"asrkd": __version__, "request": self.request.record(self.grid)} | as_json(ranked)
        files.write_json(self.request.out / SWEEP, record)


def _last_quality(folder: Path) -> str:
    """Describe the last validation of a run for the progress; empty if there is none."""
    last = read_progress(folder).last
    if last.get("wer") is not None:
        return f": {last['wer']:.2%}"
    return f": {last['perplexity']:.4g}" if last.get("perplexity") is not None else ""


def _unfinished(
    request: SweepRequest, standing: Standing, ranked: Results, failures: dict[Path, str]
) -> SweepReport:
    """Report a sweep that is left to other shards; AsrkdError if a run failed."""
    left = standing.left(standing.present)
    if request.workers.shard_of is not None:
        return SweepReport(request.out, ranked, len(left))
    names = ", ".join(run.name for run in left if run.folder in failures or not failures)
    raise AsrkdError(
        f"{request.out}: {counted(len(failures) or len(left), 'run')} ended early: {names}; "
        f"see the logs in {request.out / 'logs'}, then run the same command to continue"
    )


def _finish(request: SweepRequest, grid: Grid, work: _Sweep, ranked: Results, is_new: bool) -> SweepReport:
    """Write the results, the chosen config and the stamp."""
    work.write(ranked)
    if ranked.chosen is None:
        raise AsrkdError(
            f"{request.out}: every setting diverged; give lower values of optim.lr, or a longer warm-up, in "
            "another --out"
        )
    if (figure := draw(ranked)) is not None:
        files.write_lines(request.out / FIGURE, [figure])
    with files.create(request.out / BEST_CONFIG) as stream:
        stream.write(_best_config(grid, ranked, ranked.chosen))
    summary = {"settings": len(ranked.rows), "runs": len(grid.runs), "chosen": ranked.chosen.setting.name}
    output_folder.stamp(request.out, summary | {ranked.measure: ranked.chosen.quality.value})
    return SweepReport(request.out, ranked, already_complete=not is_new)


def _best_config(grid: Grid, ranked: Results, chosen: Row) -> str:
    """Return the config of the chosen setting, with the first of its seeds, as YAML with a comment."""
    run, _ = chosen.runs[0]
    lines = [f"Chosen on the dev set among {counted(len(ranked.rows), 'setting')}: {chosen.setting.name}"]
    if (maker := current_command()) is not None:
        lines.append(f"by: {maker}")
    lines.append(f"{quality_text(ranked)}; the same weights: {run.folder}")
    comment = "".join(f"# {one_line(line)}\n" for line in lines)
    return comment + yaml.safe_dump(grid.tree(run), sort_keys=False, allow_unicode=True, width=100)
