"""Commands `asrkd record` and `asrkd restore`: runs without their weights as files."""

from pathlib import Path
from typing import Annotated

import typer

from asrkd.cli.launcher import running
from asrkd.cli.options import Out, TimeLimit

recording = typer.Typer()


@recording.command()
def record(
    model: Annotated[Path, typer.Argument(help="Model folder of asrkd train.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    score: Annotated[
        list[str], typer.Option(help="Name of a score folder in MODEL; repeatable. Default: all.")
    ] = [],  # noqa: B006
) -> None:
    """Write a run as one file: config, log, and the hypotheses of its scores; no weights, no references."""
    from asrkd.commands import record as stage

    typer.echo(stage.record(model, score, out).text())


@recording.command()
def restore(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="RECORD", help="File of asrkd record.")],
    out: Out,
    cuts: Annotated[
        list[Path],
        typer.Option(help="Cuts manifest of a scored set, for its references; repeatable."),
    ] = [],  # noqa: B006
    time_limit: TimeLimit = None,
) -> None:
    """Make a model folder without weights from a record, for compare and report; its errors are recounted."""
    from asrkd.commands import restore as stage

    with running(context) as stop:
        typer.echo(stage.restore(path, cuts, out, stop).text())
