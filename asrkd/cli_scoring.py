"""The commands that give and compare scores; they have no group name of their own."""

from pathlib import Path
from typing import Annotated

import typer

from asrkd.cli_launching import launchable
from asrkd.cli_options import Device, Jobs, Out, Shard, TimeLimit
from asrkd.stopping import parse_time_limit, stop_requests

scoring = typer.Typer()


@scoring.command()
@launchable
def score(
    model: Annotated[Path, typer.Argument(help="Model folder.")],
    cuts: Annotated[Path, typer.Option(help="Cuts manifest with transcripts.")],
    out: Out,
    search: Annotated[str, typer.Option(help="greedy, prefix-beam, or k2 where k2 is.")] = "greedy",
    beam: Annotated[int, typer.Option(help="Prefixes kept at each frame; not for greedy.")] = 8,
    jobs: Jobs = 1,
    device: Device = "cpu",
    shard: Shard = None,
    time_limit: TimeLimit = None,
) -> None:
    """Recognise cuts with a model and count its word errors."""
    limit = parse_time_limit(time_limit)
    from asrkd import score as stage
    from asrkd.decoding import SearchOptions
    from asrkd.shared_work import parse_part

    part = parse_part(shard)
    request = stage.ScoreRequest(model, cuts, out, search, SearchOptions(beam), device, jobs, part)
    with stop_requests(limit) as stop:
        typer.echo(stage.score(request, stop).text())


@scoring.command()
def compare(
    models: Annotated[list[Path], typer.Argument(help="Model folders; those of one name are seeds.")],
    score_name: Annotated[
        str, typer.Option("--score", help="Name of the score folder in each.")
    ] = "score-test",
    out: Annotated[Path | None, typer.Option(help="JSON file for the results.")] = None,
) -> None:
    """Put scored systems beside each other: a table, and with --out a list for programs."""
    from asrkd import compare as stage

    typer.echo(stage.compare(models, score_name, out).text())
