"""What ``--launcher`` does with a command: the options it adds, and running the command as jobs.

A command that has ``--jobs`` is divided into so many; when all have ended,
the command itself runs here and finds nothing left to compute. Where the
jobs have GPUs it runs as a last job instead, as this machine may have none.
A command without ``--jobs`` is one job.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from asrkd.cli.options import Gpus, Launcher, Partition, SlurmSettings, with_more_options
from asrkd.core.command_record import command_line
from asrkd.core.errors import AsrkdError
from asrkd.core.stopping import StopRequest, parse_time_limit, stop_requests

# Options of how a result is come by, and of going on with it.
_LEFT_OUT = frozenset(
    {"out", "jobs", "shard", "time_limit", "launcher", "partition", "gpus", "slurm", "resume", "workers"}
)

if TYPE_CHECKING:
    from asrkd.cli.launching.launch import Launch


def launchable(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options ``--launcher``, ``--partition``, ``--gpus`` and ``--slurm``.

    It then raises AsrkdError as well: if the last three are given without the
    first, if an option does not go with jobs, or if a job fails.
    """

    def launched(
        *,
        context: typer.Context,
        launcher: Launcher = None,
        partition: Partition = None,
        gpus: Gpus = 0,
        slurm: SlurmSettings = [],  # noqa: B006
        **own: Any,
    ) -> None:
        if launcher is None:
            if partition or gpus or slurm:
                raise AsrkdError("--partition, --gpus, --slurm: are for jobs; give --launcher slurm too")
            with command_line(typed_words(context)):
                command(**own)
            return
        launch = _launch(launcher, partition, gpus, slurm, own)
        with stop_requests() as stop:
            here = _run(launch, own, stop)
        if here:
            with command_line(typed_words(context)):
                command(**own | {"jobs": 1, "time_limit": None})

    return with_more_options(launched, command)


def typed_words(context: typer.Context) -> list[str | Path]:
    """The command line, less what does not belong to its result, in the order that the command declares."""
    given = [
        one
        for one in context.command.params
        if one.name not in _LEFT_OUT
        and getattr(context.get_parameter_source(one.name or ""), "name", "") == "COMMANDLINE"
    ]
    words: list[str | Path] = ["asrkd", *_names(context)]
    for one in sorted(given, key=lambda one: one.param_type_name != "argument"):
        value = context.params[one.name or ""]
        for item in value if getattr(one, "multiple", False) else [value]:
            words += [] if one.param_type_name == "argument" else [one.opts[0]]
            parts = item if isinstance(item, (tuple, list)) else [item]
            words += [] if getattr(one, "is_flag", False) else map(_word, parts)
    return words


def _names(context: Any) -> list[str]:
    """Of the command and the groups that it is in, without the program's own."""
    return [] if context.parent is None else [*_names(context.parent), context.info_name or ""]


def _word(value: Any) -> str | Path:
    return value if isinstance(value, Path) else str(value)


def _launch(
    launcher: str, partition: str | None, gpus: int, slurm: list[str], own: dict[str, Any]
) -> "Launch":
    from asrkd.cli.launching.launch import Launch
    from asrkd.cli.launching.scheduler import Wanted

    if own.get("shard") is not None:
        raise AsrkdError(f"--shard {own['shard']}: the launcher gives each job its own; leave it out")
    if own.get("ref") is not None or own.get("hyp") is not None:
        raise AsrkdError(
            f"--launcher {launcher}, --ref, --hyp: finished transcripts are no jobs; leave it out"
        )
    if gpus < 0:
        raise AsrkdError(f"--gpus {gpus}: expected 0 or more")
    wanted = Wanted(parse_time_limit(own["time_limit"]), gpus, partition, tuple(slurm))
    return Launch(sys.argv[1:], launcher, own["out"], wanted)


def _run(launch: "Launch", own: dict[str, Any], stop: StopRequest) -> bool:
    """Run the command as jobs; whether it is still to be run here."""
    if "jobs" in own:
        launch.run_parts(own["jobs"], stop)
        if not launch.wanted.gpus:
            return True
    when_again = ["--resume"] if own.get("resume") is False else []
    typer.echo(launch.run_whole(stop, when_again), nl=False)
    return False
