"""Launching: ``--launcher`` runs a command as jobs of a cluster or of this machine.

A command with ``--jobs`` is divided into that many jobs. When all of them
have ended, the command runs once more in this process, has nothing left to
compute, and finishes the folder. Jobs with GPUs are followed by a last job
instead, because this machine may have no GPU. A command whose jobs run in
rounds computes nothing after them, and needs none. A command without ``--jobs``
is one job.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from asrkd.core.artifacts import STAMP
from asrkd.core.command_record import command_line
from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command
from asrkd.core.stopping import StopRequest, parse_time_limit, stop_requests

if TYPE_CHECKING:
    from asrkd.cli.launching.launch import Launch

# Options that do not change the result: output folder, processes, and resuming.
_NOT_OF_THE_RESULT = frozenset(
    "out jobs shard dry_run time_limit until_step from_record launcher partition gpus slurm resume "
    "workers".split()
)

_MADE_BY_JOBS = "asrkd.made_by_jobs"  # key of click's context


@dataclass(frozen=True)
class LaunchOptions:
    """Options ``--launcher``, ``--partition``, ``--gpus`` and ``--slurm`` of a command."""

    launcher: str | None = None
    partition: str | None = None
    gpus: int = 0
    slurm: list[str] | tuple[str, ...] = ()  # KEY=VALUE, options of sbatch; KEY for its flags


def ran_as_jobs(
    context: typer.Context,
    options: LaunchOptions,
    check: Callable[[], int | None] | None = None,
    again: Callable[[], bool] | None = None,
) -> bool:
    """Run the command as jobs, if ``--launcher`` is given.

    A stop while it waits cancels the jobs; SIGHUP, which a lost connection sends, is
    such a stop too.

    Args:
        context: the command's typer context, with its ``--out`` and ``--time-limit``.
        options: the command's options for launching.
        check: function that raises AsrkdError for a mistake that is cheap to find before
            jobs wait in a queue (see :mod:`asrkd.commands.preflight`), and returns the
            number of shards, None if it is not known yet.
        again: function that returns whether all jobs run once more, for a command in rounds.

    Returns:
        Whether jobs did everything; if not, the command continues in this process.

    Raises:
        AsrkdError: an option has no effect without ``--launcher`` or does not go
            with jobs, or a job failed.
        StoppedInTime: stopped while waiting; the jobs were canceled.
    """
    parameters = context.params
    launch = launch_of(context, options)
    if launch is None:
        return False
    num_shards = None if check is None else check()
    if num_shards is not None and "jobs" in parameters:
        from asrkd.core.shared_work import FEWER_JOBS, SMALLER_SHARDS, warn_of_idle_jobs

        remedy = SMALLER_SHARDS if "cuts_per_shard" in parameters else FEWER_JOBS
        warn_of_idle_jobs(num_shards, parameters["jobs"], remedy)
    context.meta[_MADE_BY_JOBS] = not (launch.out / STAMP).is_file()
    with stop_requests(hangup=True) as stop:
        if "jobs" in parameters:
            launch.run_parts(parameters["jobs"], stop)
            while again is not None and again():
                launch.run_parts(parameters["jobs"], stop)
            if not options.gpus or again is not None:
                return False
        when_again = ["--resume"] if parameters.get("resume") is False else []
        print_report(context, launch.run_whole(stop, when_again), nl=False)
    return True


def print_report(context: typer.Context, text: str, *, nl: bool = True) -> None:
    """Print the report of a command.

    The last step of a launch finds a folder that its jobs have completed; then
    "already complete", which is for a command that makes nothing, becomes "complete".

    Args:
        context: the command's typer context.
        text: report of the command.
        nl: whether to end the line.
    """
    if context.meta.get(_MADE_BY_JOBS):
        for before in (": ", "("):
            text = text.replace(f"{before}already complete", f"{before}complete")
    typer.echo(text, nl=nl)


def launch_of(context: typer.Context, options: LaunchOptions) -> "Launch | None":
    """Return the launch of a command; None without ``--launcher``. Nothing is submitted or written.

    Args:
        context: the command's typer context, with its ``--out`` and ``--time-limit``.
        options: the command's options for launching.

    Raises:
        AsrkdError: an option has no effect without ``--launcher`` or does not go with jobs.
    """
    limit_s = parse_time_limit(context.params["time_limit"])
    if options.launcher is not None:
        return _launch(options.launcher, options, limit_s, context.params)
    if options.partition or options.gpus or options.slurm:
        raise AsrkdError("--partition, --gpus, --slurm: no effect without jobs; add --launcher slurm")
    return None


@contextmanager
def running(context: typer.Context) -> Iterator[StopRequest]:
    """Run the block as the command: with its time limit, and its command line known to the folders it writes.

    A launched command that continues here has no time limit: the jobs had it.

    Args:
        context: the command's typer context, with its ``--time-limit``.

    Yields:
        The request to stop, by a signal or the time limit.
    """
    limit = None if context.params.get("launcher") else context.params["time_limit"]
    with stop_requests(parse_time_limit(limit)) as stop, command_line(typed_words(context)):
        try:
            yield stop
        except KeyboardInterrupt:
            typer.echo(f"asrkd: {_interrupted(context.params)}", err=True)
            raise


def _interrupted(parameters: dict[str, Any]) -> str:
    """Describe how to continue an interrupted command: with ``--resume`` where it has that option."""
    if "resume" not in parameters:
        return "interrupted; run the same command again to resume"
    if not any((parameters["out"] / "checkpoints").glob("step-*.safetensors")):
        every = parameters["checkpoint_every"]
        return (
            f"interrupted before the first checkpoint (--checkpoint-every {every}); the same command starts "
            "again from step 0"
        )
    again = [] if parameters["resume"] else ["--resume"]
    return f"interrupted; resume with: {command('asrkd', *sys.argv[1:], *again)}"


def typed_words(context: typer.Context) -> list[str | Path]:
    """The command line without options that do not change the result, in the order of the declaration."""
    typed_parameters = [
        parameter
        for parameter in context.command.params
        if parameter.name not in _NOT_OF_THE_RESULT
        and getattr(context.get_parameter_source(parameter.name or ""), "name", "") == "COMMANDLINE"
    ]
    words: list[str | Path] = ["asrkd", *_names(context)]
    for parameter in sorted(typed_parameters, key=lambda parameter: parameter.param_type_name != "argument"):
        value = context.params[parameter.name or ""]
        for item in value if getattr(parameter, "multiple", False) else [value]:
            words += [] if parameter.param_type_name == "argument" else [parameter.opts[0]]
            parts = item if isinstance(item, (tuple, list)) else [item]
            words += [] if getattr(parameter, "is_flag", False) else map(_word, parts)
    return words


def _names(context: Any) -> list[str]:
    """Names of the command and its groups, without the program's."""
    return [] if context.parent is None else [*_names(context.parent), context.info_name or ""]


def _word(value: Any) -> str | Path:
    return value if isinstance(value, Path) else str(value)


def _launch(
    launcher: str, options: LaunchOptions, limit_s: float | None, parameters: dict[str, Any]
) -> "Launch":
    """Build the launch; AsrkdError if an option does not go with jobs."""
    from asrkd.cli.launching.launch import Launch
    from asrkd.cli.launching.scheduler import Wanted

    if parameters.get("shard") is not None:
        raise AsrkdError(f"--shard {parameters['shard']}: the launcher gives each job its own; remove it")
    if parameters.get("ref") is not None or parameters.get("hyp") is not None:
        raise AsrkdError(
            f"--launcher {launcher}: scoring --ref and --hyp does not run as jobs; remove --launcher"
        )
    if options.gpus < 0:
        raise AsrkdError(f"--gpus {options.gpus}: expected 0 or more")
    wanted = Wanted(limit_s, options.gpus, options.partition, tuple(options.slurm))
    if options.gpus > 1:
        remedy = (
            "give each job one, and more --jobs"
            if "jobs" in parameters
            else "train on several with: SBATCH_GPUS_PER_TASK=1 "
            f"TASKS={options.gpus} {command('bash', 'stages/slurm/train.sh', 'CONFIG', parameters['out'])}"
        )
        raise AsrkdError(f"--gpus {options.gpus}: a job is one process, which uses one GPU; {remedy}")
    return Launch(sys.argv[1:], launcher, Path(parameters["out"]), wanted)
