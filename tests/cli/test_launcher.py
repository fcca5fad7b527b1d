"""Launching of commands by --launcher, with the launch itself replaced by a note."""

import pytest
import typer

from asrkd.cli import main
from asrkd.cli.launcher import LaunchOptions, print_report, ran_as_jobs, running
from asrkd.cli.launching.launch import Launch
from asrkd.cli.launching.scheduler import Wanted
from asrkd.core.errors import AsrkdError


@pytest.fixture
def noted(monkeypatch) -> list[object]:
    """What was launched, in place of launching it."""
    notes: list[object] = []
    monkeypatch.setattr(Launch, "run_parts", lambda self, count, stop: notes.append((self, count)))

    def run_whole(self, stop, when_again=()):
        notes.append((self, *when_again))
        return "it is done\n"

    monkeypatch.setattr(Launch, "run_whole", run_whole)
    return notes


def _checked(notes: list[object]) -> None:
    """A check before the launch, which refuses once jobs were launched."""
    if "mistake" in notes:
        raise AsrkdError("the folder holds something else")


def command(notes: list[object]) -> typer.Typer:
    """A program with one command of each kind; the first notes what it was called with."""
    app = typer.Typer()

    @app.command()
    def divided(
        context: typer.Context,
        out: main.Out,
        jobs: int = 1,
        shard: str | None = None,
        time_limit: str | None = None,
        launcher: main.Launcher = None,
        partition: main.Partition = None,
        gpus: main.Gpus = 0,
        slurm: main.SlurmSettings = [],  # noqa: B006
    ) -> None:
        if ran_as_jobs(context, LaunchOptions(launcher, partition, gpus, slurm), lambda: 3):
            return
        with running(context) as stop:
            notes.append((out.name, jobs, stop.time_limit_s))
        print_report(context, f"{out}: already complete\n{out.name}: 3 cuts (already complete)")

    @app.command()
    def whole(
        context: typer.Context,
        out: main.Out,
        resume: bool = False,
        time_limit: str | None = None,
        launcher: main.Launcher = None,
        gpus: main.Gpus = 0,
    ) -> None:
        assert ran_as_jobs(context, LaunchOptions(launcher, gpus=gpus), lambda: _checked(notes))

    return app


def call(monkeypatch, notes, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["asrkd", *arguments])
    command(notes)(standalone_mode=False)


def test_a_divided_command_runs_in_parts_and_then_here(monkeypatch, noted):
    options = [
        "--jobs",
        "4",
        "--launcher",
        "slurm",
        "--partition",
        "p",
        "--slurm",
        "mem=1G",
        "--time-limit",
        "1h",
    ]
    call(monkeypatch, noted, "divided", "--out", "o", *options)
    (launch, count), here = noted
    assert count == 4
    assert (launch.launcher, launch.out.name, launch.wanted) == (
        "slurm",
        "o",
        Wanted(3600.0, 0, "p", ("mem=1G",)),
    )
    assert launch.arguments == ["divided", "--out", "o", *options]
    assert here == ("o", 4, None)  # nothing is left to do for the four; the time limit was the jobs'


def test_with_gpus_the_last_step_is_a_job_too(monkeypatch, noted, capsys):
    call(monkeypatch, noted, "divided", "--out", "o", "--launcher", "slurm", "--gpus", "1")
    assert [note[1:] for note in noted] == [(1,), ()]
    assert capsys.readouterr().out == "it is done\n"


def test_an_indivisible_command_is_one_job_that_resumes(monkeypatch, noted, capsys):
    call(monkeypatch, noted, "whole", "--out", "o", "--launcher", "slurm")
    call(monkeypatch, noted, "whole", "--out", "o", "--launcher", "slurm", "--resume")
    assert [note[1:] for note in noted] == [("--resume",), ()]
    assert capsys.readouterr().out == 2 * "it is done\n"


def test_a_mistake_is_a_line_before_any_job(monkeypatch, noted):
    noted.append("mistake")
    with pytest.raises(AsrkdError, match="the folder holds something else"):
        call(monkeypatch, noted, "whole", "--out", "o", "--launcher", "slurm")
    assert noted == ["mistake"]


def test_several_gpus_of_a_training_are_several_processes(monkeypatch, noted):
    with pytest.raises(AsrkdError, match=r"--gpus 2: .*TASKS=2 bash stages/slurm/train.sh CONFIG o"):
        call(monkeypatch, noted, "whole", "--out", "o", "--launcher", "slurm", "--gpus", "2")
    assert noted == []


@pytest.mark.parametrize("was_complete", [False, True])
def test_a_launch_reports_what_its_jobs_have_made(monkeypatch, noted, capsys, tmp_path, was_complete):
    out = tmp_path / "o"
    if was_complete:
        out.mkdir()
        (out / "stamp.json").touch()
    call(monkeypatch, noted, "divided", "--out", str(out), "--launcher", "slurm")
    word = "already complete" if was_complete else "complete"
    assert capsys.readouterr().out == f"{out}: {word}\no: 3 cuts ({word})\n"


def test_jobs_beyond_the_shards_are_a_warning(monkeypatch, noted, capsys):
    call(monkeypatch, noted, "divided", "--out", "o", "--launcher", "slurm", "--jobs", "5")
    assert capsys.readouterr().err == "asrkd: warning: 3 shards for 5 jobs; 2 will idle: use fewer jobs\n"
    call(monkeypatch, noted, "divided", "--out", "o", "--launcher", "slurm", "--jobs", "3")
    assert capsys.readouterr().err == ""


def test_without_a_launcher_the_command_is_as_it_was(monkeypatch, noted):
    call(monkeypatch, noted, "divided", "--out", "o", "--jobs", "2", "--time-limit", "5")
    assert noted == [("o", 2, 5.0)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--gpus", "1"], "add --launcher slurm"),
        (["--partition", "p"], "add --launcher slurm"),
        (["--launcher", "slurm", "--shard", "1/2"], "--shard 1/2: the launcher gives each job its own"),
        (["--launcher", "slurm", "--gpus", "2"], "--gpus 2: a job is one process.*more --jobs"),
        (["--launcher", "slurm", "--gpus", "-1"], "--gpus -1: expected 0 or more"),
        (["--launcher", "slurm", "--time-limit", "soon"], "--time-limit 'soon'"),
    ],
)
def test_options_that_do_not_go_together_are_a_line(monkeypatch, noted, options, message):
    with pytest.raises(AsrkdError, match=message):
        call(monkeypatch, noted, "divided", "--out", "o", *options)
    assert noted == []


def test_every_command_that_writes_a_folder_can_be_launched():
    commands = [*main.app.registered_commands, *main.distill.registered_commands]
    launchable = {c.callback.__name__ for c in commands if "launcher" in c.callback.__annotations__}
    writing = {
        c.callback.__name__ for c in commands if {"out", "time_limit"} <= set(c.callback.__annotations__)
    }
    assert launchable == writing
