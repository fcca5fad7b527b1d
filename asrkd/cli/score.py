"""Commands `asrkd score`, `asrkd compare` and `asrkd report`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from asrkd.cli.launcher import LaunchOptions, print_report, ran_as_jobs, running
from asrkd.cli.options import (
    Alpha,
    Beam,
    ChunkFrames,
    CtcWeight,
    Device,
    EosFactor,
    Gpus,
    Jobs,
    Launcher,
    LeftChunks,
    LengthNorm,
    Lm,
    LmWeight,
    MaxLengthRatio,
    Out,
    Partition,
    Shard,
    SlurmSettings,
    TimeLimit,
    TokenBonus,
    Unit,
    search_options,
)
from asrkd.core.errors import AsrkdError

scoring = typer.Typer()

# Options that score a model, which have no effect with --ref and --hyp.
_OF_MODELS = (
    "model cuts search beam lm lm_weight token_bonus length_norm alpha eos_factor max_length_ratio "
    "ctc_weight device jobs shard chunk_frames left_chunks runtime"
).split()


@scoring.command()
def score(
    context: typer.Context,
    out: Out,
    model: Annotated[Path | None, typer.Argument(help="Model folder; none with --ref and --hyp.")] = None,
    cuts: Annotated[Path | None, typer.Option(help="Cuts manifest with transcripts.")] = None,
    ref: Annotated[
        Path | None,
        typer.Option(
            help="Reference transcripts: Kaldi's text, sclite's trn, or JSON lines; or stm, with a ctm."
        ),
    ] = None,
    hyp: Annotated[
        Path | None,
        typer.Option(help="Hypotheses to score against --ref, in any of these formats; a ctm for an stm."),
    ] = None,
    utt2spk: Annotated[
        Path | None, typer.Option(help="With --ref: speaker of each utterance, in Kaldi's format.")
    ] = None,
    alignment: Annotated[
        str | None,
        typer.Option(
            help="levenshtein (the default), or sclite: weights 4, 3, 3, the default of stm and ctm; for "
            "these also sclite-D (optional words), sclite-F (fragments) and sclite-DF.",
        ),
    ] = None,
    normalizer: Annotated[
        str | None,
        typer.Option(
            help="none, the default; basic: lower case, no punctuation, Unicode's NFKC; turkish: the same "
            "with the case rules of Turkish and Azerbaijani (capital I of ı, İ of i); sclite: A to Z in "
            "lower case, the default of stm and ctm."
        ),
    ] = None,
    unit: Unit = "word",
    search: Annotated[
        str,
        typer.Option(
            help="greedy, prefix-beam, or k2 where installed; with a decoder also attention and joint "
            "(attention and CTC); with a transducer transducer-greedy, transducer-beam and "
            "transducer-k2 (needs k2)."
        ),
    ] = "greedy",
    beam: Beam = 8,
    chunk_frames: ChunkFrames = None,
    left_chunks: LeftChunks = None,
    runtime: Annotated[
        str | None, typer.Option(help="sherpa-onnx: decode with it; MODEL is then a folder of asrkd export.")
    ] = None,
    jobs: Jobs = 1,
    device: Device = "cpu",
    shard: Shard = None,
    time_limit: TimeLimit = None,
    lm: Lm = None,
    lm_weight: LmWeight = None,
    token_bonus: TokenBonus = None,
    length_norm: LengthNorm = None,
    alpha: Alpha = None,
    eos_factor: EosFactor = None,
    max_length_ratio: MaxLengthRatio = None,
    ctc_weight: CtcWeight = None,
    launcher: Launcher = None,
    partition: Partition = None,
    gpus: Gpus = 0,
    slurm: SlurmSettings = [],  # noqa: B006
) -> None:
    """Count the errors of a model on cuts, or of existing transcripts, in words or characters."""
    launch = LaunchOptions(launcher, partition, gpus, slurm)
    if (ref is not None or hyp is not None) and ran_as_jobs(context, launch):  # raises with --launcher
        return
    from asrkd.scoring.nist_rules import parse_nist_rules
    from asrkd.scoring.score_corpus import parse_rules
    from asrkd.scoring.timed_corpus import are_nist_files

    _check_combination(context, model, cuts, ref, hyp, utt2spk)
    if ref is not None and hyp is not None and are_nist_files(ref, hyp):
        rules = parse_nist_rules(alignment, normalizer, unit)
    else:
        rules = parse_rules(alignment or "levenshtein", normalizer or "none", unit)
    if ref is not None and hyp is not None:
        from asrkd.commands.score_transcripts import TranscriptsRequest, score_transcripts

        with running(context) as stop:
            typer.echo(score_transcripts(TranscriptsRequest(ref, hyp, out, utt2spk, rules), stop).text())
    elif model is not None and cuts is not None:
        from asrkd.commands import score as stage
        from asrkd.core.shared_work import parse_shard_of

        options = search_options(
            beam,
            1,
            lm,
            lm_weight=lm_weight,
            token_bonus=token_bonus,
            length_norm=length_norm,
            alpha=alpha,
            eos_factor=eos_factor,
            max_length_ratio=max_length_ratio,
            ctc_weight=ctc_weight,
        )
        shard_of = parse_shard_of(shard)
        request = stage.ScoreRequest(
            model,
            cuts,
            out,
            search,
            options,
            device,
            jobs,
            shard_of,
            rules,
            chunk_frames,
            left_chunks,
            runtime,
        )
        if ran_as_jobs(context, launch, lambda: stage.check(request)):
            return
        with running(context) as stop:
            print_report(context, stage.score(request, stop).text())


def _check_combination(
    context: typer.Context,
    model: Path | None,
    cuts: Path | None,
    ref: Path | None,
    hyp: Path | None,
    utt2spk: Path | None,
) -> None:
    """Refuse a mixture of the two uses of `asrkd score`, and half of one."""
    transcripts = {"--ref": ref, "--hyp": hyp, "--utt2spk": utt2spk}
    present = [option for option, path in transcripts.items() if path is not None]
    if not present:
        for option, path in (("MODEL", model), ("--cuts", cuts)):
            if path is None:
                raise typer.BadParameter(f"{option} is missing; or give --ref and --hyp to score transcripts")
        return
    defaults = {parameter.name: parameter.default for parameter in context.command.params}
    others = [name.replace("_", "-") for name in _OF_MODELS if context.params[name] != defaults[name]]
    if others:
        option = "MODEL" if others[0] == "model" else f"--{others[0]}"
        raise AsrkdError(
            f"{option}, {present[0]}: score either a model on --cuts, or --hyp against --ref; "
            f"remove {option} or {', '.join(present)}"
        )
    for option in ("--ref", "--hyp"):
        if transcripts[option] is None:
            raise AsrkdError(f"{present[0]}: scoring transcripts takes two files; add {option}")


@scoring.command()
def compare(
    models: Annotated[
        list[Path],
        typer.Argument(help="Model folders (folders of one name are seeds of one system), or score folders."),
    ],
    score_name: Annotated[
        str, typer.Option("--score", help="Name of the score folder in each model folder.")
    ] = "score-test",
    teacher: Annotated[
        str | None,
        typer.Option(
            help="Name of the teacher system, for the share of its gain; default 'teacher' if present."
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="Name of the baseline system; default 'baseline' if present, else the first system."
        ),
    ] = None,
    blocks: Annotated[
        str, typer.Option(help="Unit of resampling in the bootstrap: speaker, recording or utterance.")
    ] = "speaker",
    seed: Annotated[int, typer.Option(help="Random seed of the bootstrap.")] = 1,
    costs: Annotated[
        Path | None,
        typer.Option(help="Cuts manifest on which to measure multiply-adds, speed and memory of the models."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file to write the results to.")] = None,
) -> None:
    """Compare systems: differences in error rate, confidence intervals and significance."""
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
        typer.Argument(help="Model folders (folders of one name are seeds of one system), or score folders."),
    ],
    out: Annotated[Path, typer.Option(help="HTML file to write.")],
    score_name: Annotated[
        str, typer.Option("--score", help="Name of the score folder in each model folder.")
    ] = "score-test",
    teacher: Annotated[str | None, typer.Option(help="Name of the teacher, as for compare.")] = None,
    baseline: Annotated[str | None, typer.Option(help="Name of the baseline, as for compare.")] = None,
    comparison: Annotated[
        Path | None, typer.Option(help="File of `asrkd compare --out`, with costs; computed by default.")
    ] = None,
    cuts: Annotated[Path | None, typer.Option(help="Scored cuts, for audio; found by default.")] = None,
    clips: Annotated[int, typer.Option(help="Number of utterances with audio.")] = 32,
    utterances: Annotated[int, typer.Option(help="Number of utterances to browse.")] = 1000,
) -> None:
    """Write an HTML report of scored systems: comparison, curves, targets, inherited errors, utterances."""
    from asrkd.commands import report as stage
    from asrkd.evaluation.compare.systems import Roles

    roles = Roles(teacher, baseline)
    request = stage.ReportRequest(models, out, score_name, roles, comparison, cuts, clips, utterances)
    typer.echo(stage.report(request).text())
