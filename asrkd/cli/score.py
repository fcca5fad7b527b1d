"""The commands that give and compare scores; they have no group name of their own."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from asrkd.cli.launcher import launchable
from asrkd.cli.options import Device, Jobs, Out, Shard, TimeLimit, Unit
from asrkd.cli.search import search_options, searching
from asrkd.core.errors import AsrkdError
from asrkd.core.stopping import parse_time_limit, stop_requests

scoring = typer.Typer()


@scoring.command()
@launchable
@searching
def score(
    *,
    given_search: dict[str, Any],
    out: Out,
    model: Annotated[Path | None, typer.Argument(help="Model folder; none with --ref.")] = None,
    cuts: Annotated[Path | None, typer.Option(help="Cuts manifest with transcripts.")] = None,
    ref: Annotated[
        Path | None,
        typer.Option(
            help="Finished transcripts: Kaldi's text, sclite's trn, JSON lines; or stm, with a ctm."
        ),
    ] = None,
    hyp: Annotated[
        Path | None, typer.Option(help="Hypotheses for --ref, in any of these forms; a ctm for an stm.")
    ] = None,
    utt2spk: Annotated[
        Path | None, typer.Option(help="With --ref: lines of an utterance and its speaker, as Kaldi's.")
    ] = None,
    alignment: Annotated[
        str | None,
        typer.Option(
            help="levenshtein, or sclite: weights 4, 3, 3, the default of stm and ctm; for these also "
            "sclite-D (optional words), sclite-F (fragments) and sclite-DF.",
        ),
    ] = None,
    normalizer: Annotated[
        str | None,
        typer.Option(
            help="none, the default; basic: no case, no punctuation, Unicode's NFKC; turkish: the same with "
            "the case rules of Turkish and Azerbaijani, where I is the capital of ı and İ of i; sclite: A to "
            "Z small, the default of stm and ctm."
        ),
    ] = None,
    unit: Unit = "word",
    search: Annotated[
        str, typer.Option(help="greedy, prefix-beam, k2 where k2 is; of a decoder: attention; joint of both.")
    ] = "greedy",
    beam: Annotated[int, typer.Option(help="Beginnings that are kept; not for greedy.")] = 8,
    jobs: Jobs = 1,
    device: Device = "cpu",
    shard: Shard = None,
    time_limit: TimeLimit = None,
) -> None:
    """Count the errors of a model on cuts, or of finished transcripts, in words or characters."""
    flags = locals() | given_search
    limit = parse_time_limit(time_limit)
    from asrkd.scoring.nist_rules import parse_nist_rules
    from asrkd.scoring.score_corpus import parse_rules
    from asrkd.scoring.timed_corpus import are_nist_files

    _check_combination(flags)
    if ref is not None and hyp is not None and are_nist_files(ref, hyp):
        rules = parse_nist_rules(alignment, normalizer, unit)
    else:
        rules = parse_rules(alignment or "levenshtein", normalizer or "none", unit)
    with stop_requests(limit) as stop:
        if ref is not None and hyp is not None:
            from asrkd.commands.score_transcripts import TranscriptsRequest, score_transcripts

            asked = TranscriptsRequest(ref, hyp, out, utt2spk, rules)
            typer.echo(score_transcripts(asked, stop).text())
        elif model is not None and cuts is not None:
            from asrkd.commands import score as stage
            from asrkd.core.shared_work import parse_shard_of

            shard_of, options = parse_shard_of(shard), search_options(beam, 1, given_search)
            request = stage.ScoreRequest(model, cuts, out, search, options, device, jobs, shard_of, rules)
            typer.echo(stage.score(request, stop).text())


# What only a model has use for, and what it is where nobody asked for it.
_OF_MODELS: dict[str, Any] = {"model": None, "cuts": None, "shard": None}
_OF_MODELS |= {"search": "greedy", "beam": 8, "jobs": 1, "device": "cpu"}
_OF_TRANSCRIPTS = ("ref", "hyp", "utt2spk")


def _check_combination(flags: dict[str, Any]) -> None:
    """Refuse a mixture of the two uses of the command, and half of one."""
    finished = [f"--{name}" for name in _OF_TRANSCRIPTS if flags[name] is not None]
    if not finished:
        for name, option in (("model", "MODEL"), ("cuts", "--cuts")):
            if flags[name] is None:
                raise typer.BadParameter(
                    f"{option} is missing; or give --ref and --hyp: finished transcripts"
                )
        return
    usual = _OF_MODELS | dict.fromkeys(flags["given_search"])
    others = [name.replace("_", "-") for name, value in usual.items() if flags[name] != value]
    if others:
        option = "MODEL" if others[0] == "model" else f"--{others[0]}"
        raise AsrkdError(
            f"{option}, {finished[0]}: either a model is asked about --cuts or --ref and --hyp are compared; "
            f"leave out {option} or {', '.join(finished)}"
        )
    for name in ("ref", "hyp"):
        if flags[name] is None:
            raise AsrkdError(f"{finished[0]}: finished transcripts are two files; give --{name} too")


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
    from asrkd.commands import compare as stage
    from asrkd.evaluation.compare.evidence import Resampling
    from asrkd.evaluation.compare.systems import Roles
    from asrkd.evaluation.compare.table import render

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
    from asrkd.commands import report as stage
    from asrkd.evaluation.compare.systems import Roles

    roles = Roles(teacher, baseline)
    request = stage.ReportRequest(models, out, score_name, roles, comparison, cuts, clips, utterances)
    typer.echo(stage.report(request).text())
