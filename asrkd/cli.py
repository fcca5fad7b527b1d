"""Command line: read the options, call one stage, print its result.

Stages are imported inside the commands so that ``asrkd --help`` is quick.
"""

from pathlib import Path
from typing import Annotated

import typer

from asrkd import __version__
from asrkd.errors import AsrkdError
from asrkd.stopping import parse_time_limit, stop_requests

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
distill = typer.Typer(
    no_args_is_help=True, help="Ask a teacher once and keep its answers; it never trains a student."
)
app.add_typer(distill, name="distill")

Out = Annotated[Path, typer.Option(help="Folder to write to; one that holds something else is refused.")]
Jobs = Annotated[int, typer.Option(help="Processes; the result is the same for any number.")]
TimeLimit = Annotated[
    str | None, typer.Option(help="Stop in time, save, and exit 75: seconds, 30m, 2h or hh:mm:ss.")
]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:0 ... or auto.")]
Teacher = Annotated[Path, typer.Option(help="Model folder of the teacher.")]
Cuts = Annotated[list[Path], typer.Option(help="Cuts manifest; may be given several times.")]
MaxBad = Annotated[float, typer.Option(help="Share of cuts that may be quarantined, 0 to 1.")]


@app.callback()
def main() -> None:
    """Distil a large speech recogniser into a small one, stage by stage."""


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


@app.command()
def doctor() -> None:
    """Say what is installed, what is missing, what stands in for it, and the command that mends it."""
    from asrkd import doctor as stage

    report = stage.doctor()
    typer.echo(report.text())
    raise typer.Exit(report.exit_status)


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="YAML file of the experiment.")],
    out: Out,
    set_: Annotated[list[str], typer.Option("--set", help="Override: key.key=value.")] = [],  # noqa: B006
    seed: Annotated[int | None, typer.Option(help="Short for --set seed=N.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="fp32, bf16, or on a GPU fp16.")] = "fp32",
    workers: Annotated[int, typer.Option(help="Loader processes.")] = 0,
    threads: Annotated[int | None, typer.Option(help="Threads of torch; all cores by default.")] = None,
    time_limit: TimeLimit = None,
) -> None:
    """Train a teacher, a baseline or a student; the objectives in CONFIG decide which."""
    limit = parse_time_limit(time_limit)
    from asrkd import train as stage

    options = stage.TrainOptions(device, precision, workers, threads, resume)
    overrides = [*set_, *([] if seed is None else [f"seed={seed}"])]
    with stop_requests(limit) as stop:
        typer.echo(stage.train(config, out, overrides, options, stop).text())


def run() -> None:
    """Console entry: a user's mistake is one line and its exit status; a bug is a traceback."""
    try:
        app()
    except AsrkdError as error:
        typer.echo(f"asrkd: {error}", err=True)
        raise SystemExit(error.exit_status) from None
