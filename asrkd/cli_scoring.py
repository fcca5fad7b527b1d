"""The commands that give and compare scores; they have no group name of their own."""

import sys
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
    models: Annotated[
        list[Path],
        typer.Argument(help="Model folders, those of one name are seeds; or folders of finished scores."),
    ],
    score_name: Annotated[
        str, typer.Option("--score", help="Name of the score folder in each model's.")
    ] = "score-test",
    teacher: Annotated[
        str | None, typer.Option(help="Name of the system at the gap's far end; 'teacher' if there is one.")
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(help="Name of the system to compare with; 'baseline', or else the first one."),
    ] = None,
    blocks: Annotated[
        str, typer.Option(help="What intervals draw as a whole: speaker, recording or utterance.")
    ] = "speaker",
    seed: Annotated[int, typer.Option(help="Of the intervals' drawing.")] = 1,
    costs: Annotated[
        Path | None,
        typer.Option(help="Cuts on which to measure multiply-adds, speed and memory of the models."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file for the results.")] = None,
) -> None:
    """Say which system is better, by how much, and whether that is noise."""
    from asrkd import compare as stage
    from asrkd.comparing.evidence import Resampling
    from asrkd.comparing.systems import Roles
    from asrkd.comparing.table import render

    roles, resampling = Roles(teacher, baseline), Resampling(blocks, seed=seed)
    request = stage.CompareRequest(models, score_name, roles, resampling, costs)
    typer.echo(render(stage.compare(request, out), styled=sys.stdout.isatty()))


@scoring.command()
def report(
    models: Annotated[
        list[Path],
        typer.Argument(help="Model folders, those of one name are seeds; or folders of finished scores."),
    ],
    out: Annotated[Path, typer.Option(help="HTML file to write.")],
    score_name: Annotated[
        str, typer.Option("--score", help="Name of the score folder in each model's.")
    ] = "score-test",
    teacher: Annotated[str | None, typer.Option(help="Name of the teacher, as for compare.")] = None,
    baseline: Annotated[str | None, typer.Option(help="Name of the baseline, as for compare.")] = None,
    comparison: Annotated[
        Path | None, typer.Option(help="What compare --out wrote of them, for its costs; made by default.")
    ] = None,
    cuts: Annotated[
        Path | None, typer.Option(help="The cuts that were scored, for audio; looked for by default.")
    ] = None,
    clips: Annotated[int, typer.Option(help="Utterances that can be heard.")] = 32,
    utterances: Annotated[int, typer.Option(help="Utterances that can be looked at.")] = 1000,
) -> None:
    """Write scored systems as one page: comparison, curves, targets, inherited errors, utterances."""
    from asrkd import report as stage
    from asrkd.comparing.systems import Roles

    roles = Roles(teacher, baseline)
    request = stage.ReportRequest(models, out, score_name, roles, comparison, cuts, clips, utterances)
    typer.echo(stage.report(request).text())
